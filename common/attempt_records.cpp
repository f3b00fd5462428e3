#include "common/attempt_records.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "common/digest.h"
#include "common/error.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/names.h"
#include "common/record_json.h"
#include "common/sealed_json.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr std::size_t kIdDigits = 32;
constexpr std::size_t kNumberWidth = 20;

constexpr std::array<std::pair<OutcomeKind, std::string_view>, 6> kOutcomes{
    {{OutcomeKind::kFinished, "finished"},
     {OutcomeKind::kPreempted, "preempted"},
     {OutcomeKind::kStopped, "stopped"},
     {OutcomeKind::kFailed, "failed"},
     {OutcomeKind::kRefused, "refused"},
     {OutcomeKind::kSuperseded, "superseded"}}};

OutcomeKind parse_outcome_kind(const json& object, std::string_view what) {
  const std::string text = text_member(object, "outcome", what);
  for (const auto& [kind, name] : kOutcomes) {
    if (name == text) return kind;
  }
  throw_damaged(what, "outcome is none that is known");
}

double seconds_member(const json& object, const char* key, std::string_view what) {
  const double seconds = number_member(object, key, what);
  if (!std::isfinite(seconds) || seconds < 0)
    throw_damaged(what, std::string(key) + " is negative");
  return seconds;
}

ProcessId parse_process(const json& object, std::string_view what) {
  return {.host = text_member(object, "host", what),
          .boot_id = text_member(object, "boot_id", what),
          .pid_namespace = text_member(object, "pid_namespace", what),
          .pid = integer_member(object, "pid", what),
          .start_time = integer_member(object, "start_time", what)};
}

std::string number_text(std::int64_t value) {
  const std::string text = std::to_string(value);
  return std::string(kNumberWidth - std::min(kNumberWidth, text.size()), ' ') + text;
}

// The next word of a line, spaces before it skipped.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::int64_t> take_number(std::string_view& line, std::string_view label) {
  if (take_word(line) != label) return std::nullopt;
  return parse_number(take_word(line));
}

}  // namespace

std::string to_text(OutcomeKind kind) {
  for (const auto& [known, name] : kOutcomes) {
    if (known == kind) return std::string(name);
  }
  throw Error(ErrorCode::kInternal, "no such outcome");
}

std::string encode(const StoreRecord& record) {
  return seal({{"format_version", record.format_version}, {"id", record.id}});
}

StoreRecord parse_store_record(std::string_view text, std::string_view what) {
  const json object = unseal(text, what);
  StoreRecord record{.format_version = integer_member(object, "format_version", what),
                     .id = text_member(object, "id", what)};
  if (record.id.size() != kIdDigits || !is_hex(record.id))
    throw_damaged(what, "id is not 32 hex digits");
  return record;
}

std::string encode(const Claim& claim) {
  return seal({{"run", claim.run},
               {"request", object_of_text(claim.request, "request")},
               {"store_id", claim.store_id},
               {"job", json_or_null(claim.job)},
               {"restart_count", claim.restart_count},
               {"host", claim.process.host},
               {"boot_id", claim.process.boot_id},
               {"pid_namespace", claim.process.pid_namespace},
               {"pid", claim.process.pid},
               {"start_time", claim.process.start_time},
               {"world_size", claim.world_size},
               {"ranks_per_node", claim.ranks_per_node},
               {"hosts", claim.hosts},
               {"build", claim.build},
               {"config", object_of_text(claim.config, "config")},
               {"config_digest", claim.config_digest},
               {"heartbeat_seconds", claim.heartbeat_seconds},
               {"grace_seconds", claim.grace_seconds},
               {"stall_seconds", claim.stall_seconds},
               {"deadline", json_or_null(claim.deadline)},
               {"nonce", claim.nonce},
               {"created", claim.created}});
}

Claim parse_claim(std::string_view text, std::string_view what) {
  const json object = unseal(text, what, "config");
  Claim claim;
  claim.run = text_member(object, "run", what);
  claim.request = object_member(object, "request", what).dump();
  claim.store_id = text_member(object, "store_id", what);
  claim.job = optional_text_member(object, "job", what);
  claim.restart_count = integer_member(object, "restart_count", what);
  claim.process = parse_process(object, what);
  claim.world_size = integer_member(object, "world_size", what);
  claim.ranks_per_node = integers_member(object, "ranks_per_node", what);
  claim.hosts = texts_member(object, "hosts", what);
  claim.build = text_member(object, "build", what);
  claim.config = text_member(object, "config", what);
  if (!claim.config.starts_with('{')) throw_damaged(what, "config is no object");
  claim.config_digest = text_member(object, "config_digest", what);
  claim.heartbeat_seconds = seconds_member(object, "heartbeat_seconds", what);
  claim.grace_seconds = seconds_member(object, "grace_seconds", what);
  claim.stall_seconds = seconds_member(object, "stall_seconds", what);
  claim.deadline = optional_integer_member(object, "deadline", what);
  claim.nonce = text_member(object, "nonce", what);
  claim.created = text_member(object, "created", what);
  return claim;
}

std::string encode(const Outcome& outcome) {
  json silent = json::array();
  for (const SilentRank& rank : outcome.silent) {
    silent.push_back({{"rank", rank.rank}, {"host", rank.host}, {"phase", rank.phase}});
  }
  return seal({{"outcome", to_text(outcome.outcome)},
               {"exit_code", outcome.exit_code},
               {"last_committed_iteration", json_or_null(outcome.last_committed_iteration)},
               {"error", json_or_null(outcome.error)},
               {"silent", std::move(silent)},
               {"save_seconds", outcome.save_seconds ? json(*outcome.save_seconds) : json()}});
}

Outcome parse_outcome(std::string_view text, std::string_view what) {
  const json object = unseal(text, what);
  Outcome outcome;
  outcome.outcome = parse_outcome_kind(object, what);
  outcome.exit_code = exit_code_member(object, "exit_code", what);
  outcome.last_committed_iteration =
      optional_integer_member(object, "last_committed_iteration", what);
  outcome.error = optional_text_member(object, "error", what);
  for (const json& entry : array_member(object, "silent", what)) {
    outcome.silent.push_back({.rank = integer_member(entry, "rank", what),
                              .host = text_member(entry, "host", what),
                              .phase = text_member(entry, "phase", what)});
  }
  if (!member(object, "save_seconds", what).is_null())
    outcome.save_seconds = seconds_member(object, "save_seconds", what);
  return outcome;
}

std::string encode(const Heartbeat& heartbeat) {
  std::string line = "counter " + number_text(heartbeat.counter) + " iteration " +
                     number_text(heartbeat.iteration) + " committed ";
  line += heartbeat.last_committed ? number_text(*heartbeat.last_committed) : "-";
  line.resize(kHeartbeatBytes - 1, ' ');
  return line + "\n";
}

std::optional<Heartbeat> parse_heartbeat(std::string_view text) {
  if (!text.ends_with('\n')) return std::nullopt;
  text.remove_suffix(1);
  const auto counter = take_number(text, "counter");
  const auto iteration = take_number(text, "iteration");
  if (!counter || !iteration || take_word(text) != "committed") return std::nullopt;
  Heartbeat heartbeat{.counter = *counter, .iteration = *iteration, .last_committed = std::nullopt};
  const std::string_view committed = take_word(text);
  if (committed != "-") {
    heartbeat.last_committed = parse_number(committed);
    if (!heartbeat.last_committed) return std::nullopt;
  }
  if (!take_word(text).empty()) return std::nullopt;
  return heartbeat;
}

}  // namespace lockstep
