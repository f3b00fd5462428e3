#include "coordinator/config_schema.h"

#include <algorithm>
#include <set>
#include <utility>

namespace lockstep {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 53;  // exact in every JSON reader
constexpr std::int64_t kMostSeconds = 100'000'000;     // three years
constexpr NumberRange kAnyPositive = {.low = 0, .low_counts = false};
constexpr NumberRange kFraction = {.low = 0, .high = 1, .high_counts = false};
constexpr NumberRange kSeconds = {.low = 0.01, .high = 1.0e8};
constexpr NumberRange kBeatSeconds = {.low = 0.01, .high = 600};  // status and stop wait for some

KeySpec integer(std::string path, std::int64_t low, std::int64_t high = kMost) {
  return {.path = std::move(path), .kind = ValueKind::kInteger, .low = low, .high = high};
}

KeySpec number(std::string path, NumberRange range) {
  return {.path = std::move(path), .kind = ValueKind::kNumber, .range = range};
}

KeySpec word(std::string path, std::vector<std::string> words) {
  return {.path = std::move(path), .kind = ValueKind::kWord, .words = std::move(words)};
}

KeySpec plain(std::string path, ValueKind kind) {
  return {.path = std::move(path), .kind = kind};
}

std::vector<KeySpec> training_keys() {
  return {
      plain("run.id", ValueKind::kText),
      integer("run.max_iterations", 0),
      integer("run.max_epochs", 0),
      integer("run.seed", 0, std::numeric_limits<std::int64_t>::max()),
      word("run.on_nonfinite", {"stop", "continue"}),
      plain("store", ValueKind::kPath),
      word("task.name", {"fashion_mnist", "language_model", "own_loop", "plugin", "synthetic"}),
      integer("task.parameters", 1, std::int64_t{1} << 40),
      integer("task.tensors", 1, 100'000),
      integer("task.iteration_ms", 0, 3'600'000),
      integer("task.layers", 1, 1000),
      integer("task.width", 1, 1 << 16),
      integer("task.heads", 1, 1 << 10),
      integer("task.context", 1, 1 << 20),
      plain("task.library", ValueKind::kPath),
      plain("task.options", ValueKind::kText),
      plain("data.path", ValueKind::kPath),
      integer("data.global_batch", 1, std::int64_t{1} << 31),
      integer("data.micro_batch", 1, std::int64_t{1} << 31),
      word("optimizer.name", {"adamw", "adam", "sgd"}),
      number("optimizer.learning_rate", {}),
      number("optimizer.weight_decay", {}),
      {.path = "optimizer.betas", .kind = ValueKind::kPair, .range = kFraction},
      number("optimizer.momentum", kFraction),
      number("optimizer.clip_norm", kAnyPositive),
      plain("optimizer.no_decay", ValueKind::kTextList),
      word("schedule.name", {"constant", "linear", "cosine"}),
      integer("schedule.warmup", 0),
      integer("schedule.iterations", 1),
      word("precision", {"fp32", "bf16"}),
      integer("evaluate.interval", 1),
  };
}

std::vector<KeySpec> checkpoint_keys() {
  return {
      integer("checkpoint.interval", 1),
      number("checkpoint.minutes", kAnyPositive),
      integer("checkpoint.keep_last", 1),
      integer("checkpoint.keep_every", 1),
      plain("checkpoint.keep_best.metric", ValueKind::kText),
      word("checkpoint.keep_best.mode", {"max", "min"}),
      integer("checkpoint.keep_best.count", 1),
      plain("checkpoint.async", ValueKind::kBool),
      word("checkpoint.when_busy", {"wait", "skip"}),
      integer("checkpoint.max_failures", 0, 1'000'000),
      word("restore.mode", {"fresh", "latest", "best", "iteration"}),
      integer("restore.iteration", 0),
      integer("restore.attempt", 1),
      plain("restore.from", ValueKind::kPath),
      word("restore.scope", {"full", "model"}),
      plain("restore.exclude", ValueKind::kTextList),
      integer("restore.skip_samples", 0),
      word("restore.if_missing", {"error", "fresh"}),
      integer("restore.max_lost_iterations", 0),
      plain("restore.once", ValueKind::kBool),
  };
}

std::vector<KeySpec> service_keys() {
  return {
      {.path = "preempt.signals",
       .kind = ValueKind::kWordList,
       .words = {"USR1", "USR2", "TERM", "XCPU", "INT", "HUP"}},
      integer("preempt.grace_seconds", 0, kMostSeconds),
      word("preempt.deadline", {"auto", "none"}),
      number("watchdog.heartbeat_seconds", kBeatSeconds),
      number("watchdog.stall_seconds", kSeconds),
      number("watchdog.join_seconds", kSeconds),
      plain("control.listen", ValueKind::kListen),
      integer("metrics.interval", 1),
      plain("metrics.tensorboard", ValueKind::kBool),
      plain("metrics.textfile", ValueKind::kPath),
      word("device", {"auto", "cpu", "cuda"}),
      word("collectives", {"auto", "mpi", "nccl"}),
      word("log.format", {"text", "json"}),
      word("log.level", {"debug", "info", "warning", "error"}),
  };
}

std::string_view last_name(std::string_view path) {
  return path.substr(path.rfind('.') + 1);
}

// "a.b.c" -> "a", "a.b"
std::set<std::string> sections() {
  std::set<std::string> found;
  for (const KeySpec& key : key_specs()) {
    for (auto dot = key.path.find('.'); dot != std::string::npos; dot = key.path.find('.', dot + 1))
      found.insert(key.path.substr(0, dot));
  }
  return found;
}

}  // namespace

const std::vector<KeySpec>& key_specs() {
  static const std::vector<KeySpec> table = [] {
    std::vector<KeySpec> all = training_keys();
    for (auto& part : {checkpoint_keys(), service_keys()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return table;
}

const KeySpec* find_key(std::string_view path) {
  const auto& keys = key_specs();
  const auto key =
      std::find_if(keys.begin(), keys.end(), [&](const KeySpec& k) { return k.path == path; });
  return key == keys.end() ? nullptr : &*key;
}

bool is_section(std::string_view path) {
  const std::string prefix = std::string(path) + ".";
  const auto& keys = key_specs();
  return std::any_of(keys.begin(), keys.end(),
                     [&](const KeySpec& key) { return key.path.starts_with(prefix); });
}

std::vector<std::string> names_in(const std::string& section) {
  const std::string prefix = section.empty() ? "" : section + ".";
  std::set<std::string> names;
  for (const KeySpec& key : key_specs()) {
    if (!key.path.starts_with(prefix)) continue;
    const std::string rest = key.path.substr(prefix.size());
    names.insert(rest.substr(0, rest.find('.')));
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> paths_named(std::string_view name) {
  std::set<std::string> found = sections();
  for (const KeySpec& key : key_specs())
    found.insert(key.path);
  std::erase_if(found, [&](const std::string& path) { return last_name(path) != name; });
  return {found.begin(), found.end()};
}

}  // namespace lockstep
