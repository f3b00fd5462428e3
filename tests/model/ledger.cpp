#include "tests/model/ledger.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace lockstep::model {

namespace {

template <typename... Numbers>
std::string format(const char* pattern, Numbers... numbers) {
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), pattern, static_cast<long long>(numbers)...);
  return text.data();
}

std::string name_of(const CheckpointId& id) {
  return format("%04lld-%010lld", id.attempt, id.iteration);
}

// "key": null or "text".
std::optional<std::string> read_text(const std::string& decision, const std::string& key) {
  const auto at = decision.find("\"" + key + "\":");
  const auto first = decision.find_first_of("\"n", at + key.size() + 3);
  if (at == std::string::npos || decision[first] == 'n') return std::nullopt;
  return decision.substr(first + 1, decision.find('"', first + 1) - first - 1);
}

// "parent": null or {"attempt": A, "iteration": N}.
std::optional<CheckpointId> read_parent(const std::string& decision) {
  const auto at = decision.find("\"parent\":");
  const auto digit = decision.find_first_of("0123456789n", at + 9);
  if (at == std::string::npos || decision[digit] == 'n') return std::nullopt;
  char* end = nullptr;
  CheckpointId parent;
  parent.attempt = std::strtoll(&decision[digit], &end, 10);
  const auto second =
      decision.find_first_of("0123456789", static_cast<std::size_t>(end - decision.data()));
  parent.iteration = std::strtoll(&decision[second], nullptr, 10);
  return parent;
}

// The parent's "store": absent in the own store, null where it is loose.
std::optional<std::string> read_store(const std::string& decision) {
  const auto at = decision.find("\"parent\":");
  const auto parent = decision.substr(at, decision.find('}', at) - at);
  if (parent.find("\"store\":") == std::string::npos) return std::nullopt;
  return read_text(parent, "store").value_or("");
}

// Read without lockstep's parser.
Start read_start(const std::string& decision) {
  Start start = {.parent = read_parent(decision), .source = read_text(decision, "source")};
  if (start.parent) start.store = read_store(decision);
  start.digest = read_text(decision, "manifest_digest").value_or("");
  return start;
}

struct Beat {
  std::int64_t iteration = 0;
  std::optional<std::int64_t> committed;
};

std::optional<Beat> read_beat(const std::string* line) {
  long long counter = 0;
  long long iteration = 0;
  std::array<char, 32> committed{};
  if (line == nullptr || !line->ends_with('\n') ||
      std::sscanf(line->c_str(), "counter %lld iteration %lld committed %31s", &counter, &iteration,
                  committed.data()) != 3)
    return std::nullopt;
  Beat beat{iteration, std::nullopt};
  if (committed[0] != '-') beat.committed = std::strtoll(committed.data(), nullptr, 10);
  return beat;
}

bool header_is_whole(const std::string* found, const std::string& committed) {
  const auto head = committed.size() - kShardDataBytes;
  return found != nullptr && found->size() == committed.size() &&
         found->compare(0, head, committed, 0, head) == 0;
}

}  // namespace

std::string Ledger::attempt_path_of(std::int64_t attempt) const {
  return store + format("/attempts/%04lld", attempt);
}
std::string Ledger::place_of(const CheckpointId& id) const {
  return store + "/checkpoints/" + name_of(id);
}
std::string Ledger::partial_of(const CheckpointId& id) const {
  return store + "/checkpoints/." + name_of(id) + ".partial";
}

std::string Ledger::folder_of(const MemoryFileSystem& disk, const CheckpointId& id) const {
  if (disk.info(place_of(id))) return place_of(id);
  const auto folder = store + "/checkpoints";
  if (!disk.info(folder)) return "";
  for (const auto& entry : disk.list(folder)) {
    if (!entry.name.starts_with(".trash-") || !entry.name.ends_with("-" + name_of(id))) continue;
    const auto deleter = std::strtoll(entry.name.c_str() + 7, nullptr, 10);
    const auto outcome = attempt_path_of(deleter) + "/outcome.json";
    const bool ended = disk.info(outcome) && !attempts.at(deleter).harmed.contains("outcome.json");
    if (!ended && disk.info(folder + "/" + entry.name + "/manifest.json"))
      return folder + "/" + entry.name;
  }
  return "";
}

bool Ledger::is_whole(const MemoryFileSystem& disk, const CheckpointId& id) const {
  const auto folder = folder_of(disk, id);
  return !folder.empty() && is_whole_in(disk, folder, checkpoints.at(id));
}

bool Ledger::is_whole_in(const MemoryFileSystem& disk, const std::string& folder,
                         const KnownCheckpoint& known) {
  for (const auto& [name, committed] : known.files) {
    const auto* found = disk.bytes(folder + "/" + name);
    if (found == nullptr || *found != committed) return false;
  }
  return true;
}

std::set<CheckpointId> Ledger::harmed_not_finite() const {
  std::set<CheckpointId> found;
  for (const auto& [id, known] : checkpoints)
    if (known.harmed && !known.finite) found.insert(id);
  return found;
}

std::set<CheckpointId> Ledger::present(const MemoryFileSystem& disk) const {
  std::set<CheckpointId> there;
  for (const auto& [id, known] : checkpoints)
    if (disk.info(place_of(id))) there.insert(id);
  return there;
}

std::int64_t Ledger::highest_on(const MemoryFileSystem& disk) const {
  for (auto it = attempts.rbegin(); it != attempts.rend(); ++it)
    if (disk.info(attempt_path_of(it->first))) return it->first;
  return 0;
}

AttemptFact Ledger::fact_of(const MemoryFileSystem& disk, std::int64_t number,
                            const KnownAttempt& known) const {
  AttemptFact fact;
  const auto folder = attempt_path_of(number);
  const auto readable = [&](const char* name) {
    return known.harmed.contains(name) ? nullptr : disk.bytes(folder + "/" + name);
  };
  fact.claim_readable = readable("claim.json") != nullptr;
  fact.run = known.launch.run;
  fact.restart_count = known.launch.restart_count;
  fact.config = known.launch.config;
  fact.request = known.launch.request;
  fact.decision_damaged = known.harmed.contains("decision.json");
  if (const auto* decision = readable("decision.json")) fact.decided = read_start(*decision);
  if (readable("outcome.json") != nullptr) {
    fact.refused = known.outcome->outcome == OutcomeKind::kRefused;
    fact.exit_code = known.outcome->exit_code;
    fact.last_committed = known.outcome->last_committed_iteration;
  }
  if (const auto beat = read_beat(disk.bytes(folder + "/heartbeat"))) {
    fact.iteration = beat->iteration;
    if (!fact.last_committed) fact.last_committed = beat->committed;
  }
  return fact;
}

Facts Ledger::facts(const MemoryFileSystem& disk, std::optional<std::int64_t> without) const {
  Facts facts;
  facts.store_there = disk.info(store).has_value();
  facts.id = id_on(disk);
  for (const auto& [number, known] : attempts)
    if (number != without && disk.info(attempt_path_of(number)))
      facts.attempts.emplace(number, fact_of(disk, number, known));
  for (const auto& [id, known] : checkpoints)
    if (const auto folder = folder_of(disk, id); !folder.empty())
      facts.checkpoints.emplace(id, fact_at(disk, folder, known));
  return facts;
}

CheckpointFact Ledger::fact_at(const MemoryFileSystem& disk, const std::string& folder,
                               const KnownCheckpoint& known) {
  CheckpointFact fact;
  fact.state = known.finite ? State::kGood : State::kNotFinite;
  fact.start = known.start;
  fact.metrics = known.metrics;
  fact.digest = known.digest;
  for (const auto& [name, committed] : known.files) {
    const auto* found = disk.bytes(folder + "/" + name);
    const bool is_manifest = name == "manifest.json";
    const bool whole =
        is_manifest ? found != nullptr && *found == committed : header_is_whole(found, committed);
    if (!whole) fact.state = State::kDamaged;
    if (is_manifest) fact.manifest_whole = whole;
    if (found == nullptr || *found != committed) fact.data_whole = false;
  }
  return fact;
}

std::optional<std::string> Ledger::id_on(const MemoryFileSystem& disk) const {
  const auto* record = disk.bytes(store + "/store.json");
  return record != nullptr ? read_text(*record, "id") : std::nullopt;
}

}  // namespace lockstep::model
