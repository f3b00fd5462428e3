#include "common/names.h"

#include <charconv>
#include <cstddef>
#include <system_error>

#include "common/digest.h"
#include "common/error.h"

namespace lockstep {
namespace {

constexpr std::size_t kAttemptDigits = 4;
constexpr std::size_t kIterationDigits = 10;
constexpr std::size_t kShardDigits = 5;
constexpr std::size_t kMinNonceDigits = 8;
constexpr std::size_t kMaxNonceDigits = 32;

constexpr std::string_view kPartialPrefix = ".";
constexpr std::string_view kPartialSuffix = ".partial";
constexpr std::string_view kTrashPrefix = ".trash-";
constexpr std::string_view kShardPrefix = "shard-";
constexpr std::string_view kShardMiddle = "-of-";
constexpr std::string_view kShardSuffix = ".safetensors";

std::string padded(std::int64_t number, std::size_t digits) {
  if (number < 0) throw Error(ErrorCode::kInternal, "a name of a negative number");
  std::string text = std::to_string(number);
  if (text.size() < digits) text.insert(0, digits - text.size(), '0');
  return text;
}

// Digits alone, 0 to 2^63 - 1; leading zeros are the caller's to judge.
std::optional<std::int64_t> parse_digits(std::string_view text) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// What padded() makes, and nothing else.
std::optional<std::int64_t> parse_padded(std::string_view text, std::size_t digits) {
  if (text.size() < digits || (text.size() > digits && text.front() == '0')) return std::nullopt;
  return parse_digits(text);
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// What stands before `separator`, which is taken too.
std::optional<std::string_view> take_until(std::string_view& text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view before = text.substr(0, at);
  text.remove_prefix(at + separator.size());
  return before;
}

}  // namespace

std::string to_text(const CheckpointId& id) {
  return std::to_string(id.attempt) + "@" + std::to_string(id.iteration);
}

std::optional<CheckpointId> parse_checkpoint_id(std::string_view text) {
  const auto before = take_until(text, "@");
  if (!before) return std::nullopt;
  const auto attempt = parse_number(*before);
  const auto iteration = parse_number(text);
  if (!attempt || *attempt < 1 || !iteration) return std::nullopt;
  return CheckpointId{.attempt = *attempt, .iteration = *iteration};
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  return parse_padded(text, 1);
}

std::string attempt_folder(std::int64_t attempt) {
  return padded(attempt, kAttemptDigits);
}

std::optional<std::int64_t> parse_attempt_folder(std::string_view name) {
  const auto attempt = parse_padded(name, kAttemptDigits);
  if (!attempt || *attempt < 1) return std::nullopt;
  return attempt;
}

std::string checkpoint_folder(const CheckpointId& id) {
  return attempt_folder(id.attempt) + "-" + padded(id.iteration, kIterationDigits);
}

std::optional<CheckpointId> parse_checkpoint_folder(std::string_view name) {
  const auto before = take_until(name, "-");
  if (!before) return std::nullopt;
  const auto attempt = parse_attempt_folder(*before);
  const auto iteration = parse_padded(name, kIterationDigits);
  if (!attempt || !iteration) return std::nullopt;
  return CheckpointId{.attempt = *attempt, .iteration = *iteration};
}

std::string partial_folder(const CheckpointId& id) {
  return std::string(kPartialPrefix) + checkpoint_folder(id) + std::string(kPartialSuffix);
}

std::optional<CheckpointId> parse_partial_folder(std::string_view name) {
  if (!take_prefix(name, kPartialPrefix) || !take_suffix(name, kPartialSuffix)) return std::nullopt;
  return parse_checkpoint_folder(name);
}

std::string trash_folder(const TrashName& trash) {
  return std::string(kTrashPrefix) + attempt_folder(trash.deleter) + "-" + trash.nonce + "-" +
         checkpoint_folder(trash.checkpoint) +
         (trash.partial ? std::string(kPartialSuffix) : std::string());
}

std::optional<TrashName> parse_trash_folder(std::string_view name) {
  if (!take_prefix(name, kTrashPrefix)) return std::nullopt;
  const auto before = take_until(name, "-");
  const auto nonce = take_until(name, "-");
  if (!before || !nonce || !is_hex(*nonce)) return std::nullopt;
  if (nonce->size() < kMinNonceDigits || nonce->size() > kMaxNonceDigits) return std::nullopt;
  const bool partial = take_suffix(name, kPartialSuffix);
  const auto deleter = parse_attempt_folder(*before);
  const auto checkpoint = parse_checkpoint_folder(name);
  if (!deleter || !checkpoint) return std::nullopt;
  return TrashName{.deleter = *deleter,
                   .nonce = std::string(*nonce),
                   .checkpoint = *checkpoint,
                   .partial = partial};
}

std::string shard_file(const ShardName& shard) {
  return std::string(kShardPrefix) + padded(shard.index, kShardDigits) + std::string(kShardMiddle) +
         padded(shard.count, kShardDigits) + std::string(kShardSuffix);
}

std::optional<ShardName> parse_shard_file(std::string_view name) {
  if (!take_prefix(name, kShardPrefix) || !take_suffix(name, kShardSuffix)) return std::nullopt;
  const auto before = take_until(name, kShardMiddle);
  if (!before) return std::nullopt;
  const auto index = parse_padded(*before, kShardDigits);
  const auto count = parse_padded(name, kShardDigits);
  if (!index || !count || *index >= *count) return std::nullopt;
  return ShardName{.index = *index, .count = *count};
}

std::string store_file(const std::string& store) {
  return store + "/store.json";
}

std::string attempts_path(const std::string& store) {
  return store + "/attempts";
}

std::string attempt_path(const std::string& store, std::int64_t attempt) {
  return attempts_path(store) + "/" + attempt_folder(attempt);
}

std::string checkpoints_path(const std::string& store) {
  return store + "/checkpoints";
}

std::string checkpoint_path(const std::string& store, const CheckpointId& id) {
  return checkpoints_path(store) + "/" + checkpoint_folder(id);
}

std::string partial_path(const std::string& store, const CheckpointId& id) {
  return checkpoints_path(store) + "/" + partial_folder(id);
}

std::string pins_path(const std::string& store) {
  return store + "/pins";
}

}  // namespace lockstep
