#include "coordinator/attempt_reading.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "common/error.h"
#include "common/parallel.h"
#include "common/retries.h"
#include "coordinator/lineage.h"

namespace lockstep {

namespace {

// Reads and parses one record of an attempt; absent is nullopt, damaged is noted.
template <typename Parse>
auto read_record(const FileSystem& files, const std::string& folder, const char* name,
                 std::vector<std::string>& damage, Parse&& parse)
    -> std::optional<decltype(parse(std::string{}, name))> {
  return with_retries([&]() -> std::optional<decltype(parse(std::string{}, name))> {
    try {
      return parse(read_small_file(files, folder + "/" + name, kRecordBytes), name);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kNotFound) return std::nullopt;
      if (e.code() != ErrorCode::kDamaged) throw;
      const std::string why = e.what();
      damage.push_back(why.starts_with(name) ? why : std::string(name) + ": " + why);
      return std::nullopt;
    }
  });
}

void read_heartbeat(const FileSystem& files, const std::string& store, AttemptView& view) {
  const auto found =
      read_record(files, attempt_path(store, view.number), "heartbeat", view.damage,
                  [](const std::string& text, const char*) { return parse_heartbeat(text); });
  if (found) view.heartbeat = *found;
}

// Where an attempt ended well its outcome tells all that its last heartbeat did.
bool tells_all(const Outcome& outcome) {
  return outcome.exit_code != 3 && outcome.exit_code != 76;
}

// In the reverse of the order in which they are written: beside an outcome all else is final.
AttemptView read_attempt(const FileSystem& files, const std::string& store, std::int64_t number,
                         Claims claims) {
  AttemptView view;
  view.number = number;
  const auto folder = attempt_path(store, number);
  view.outcome = read_record(files, folder, "outcome.json", view.damage, parse_outcome);
  if (!view.outcome || !tells_all(*view.outcome)) read_heartbeat(files, store, view);
  view.decision = read_record(files, folder, "decision.json", view.damage, parse_decision);
  view.claim_unread = claims == Claims::kOfOpenEnds && view.outcome && tells_all(*view.outcome) &&
                      view.decision && view.damage.empty();
  if (!view.claim_unread)
    view.claim = read_record(files, folder, "claim.json", view.damage, parse_claim);
  std::sort(view.damage.begin(), view.damage.end());
  return view;
}

}  // namespace

void keep_ended_attempts(const StoreView& before, StoreView& view,
                         const std::set<std::int64_t>& numbers, Claims claims) {
  if (!view.id || before.id != view.id) return;
  for (const auto& a : before.attempts)
    if (a.outcome && (a.decision || a.outcome->outcome == OutcomeKind::kRefused) &&
        (a.claim || (a.claim_unread && claims == Claims::kOfOpenEnds)) && a.damage.empty() &&
        numbers.contains(a.number))
      view.attempts.push_back(a);
}

// Those that the view lacks. Hundreds of small files: on a network file system one after the other
// takes its latency hundreds of times.
void read_attempts(const FileSystem& files, const std::string& store, StoreView& view,
                   const std::set<std::int64_t>& numbers, Claims claims,
                   const ReadProgress& progress) {
  constexpr std::size_t kWorthAThread = 8;
  std::vector<std::int64_t> missing;
  for (const auto number : numbers)
    if (view.attempt(number) == nullptr) missing.push_back(number);
  if (progress.on_attempts && !missing.empty()) progress.on_attempts(missing.size());
  std::vector<AttemptView> read(missing.size());
  const auto most =
      files.serves_threads() ? small_file_threads(files.is_network(store)) : std::size_t{1};
  const auto threads = std::clamp(missing.size() / kWorthAThread, std::size_t{1}, most);
  for_each_index(missing.size(), threads, [&](std::size_t i) {
    read[i] = read_attempt(files, store, missing[i], claims);
    if (progress.on_attempt) progress.on_attempt();
  });
  std::move(read.begin(), read.end(), std::back_inserter(view.attempts));
  if (!std::ranges::is_sorted(view.attempts, {}, &AttemptView::number))  // they are large to move
    std::ranges::sort(view.attempts, {}, &AttemptView::number);
}

void read_newest_claim(const FileSystem& files, const std::string& store, StoreView& view) {
  if (view.attempts.empty() || !view.attempts.back().claim_unread) return;
  auto& newest = view.attempts.back();
  newest.claim = read_record(files, attempt_path(store, newest.number), "claim.json", newest.damage,
                             parse_claim);
  newest.claim_unread = false;
}

void read_newest_heartbeat(const FileSystem& files, const std::string& store, StoreView& view) {
  const auto newest = newest_attempt(view);
  for (auto& attempt : view.attempts)
    if (attempt.number == newest && !attempt.heartbeat) read_heartbeat(files, store, attempt);
}

void note_missing_records(StoreView& view) {
  std::set<std::int64_t> committed;
  for (const auto& checkpoint : view.checkpoints)
    committed.insert(committed.end(), checkpoint.id.attempt);
  for (auto& attempt : view.attempts) {
    const auto& outcome = attempt.outcome;
    const bool trained = outcome && outcome->outcome != OutcomeKind::kRefused &&
                         outcome->outcome != OutcomeKind::kSuperseded;
    const bool beaten = attempt.heartbeat && attempt.heartbeat->last_committed;
    const bool decided =
        attempt.decision || trained || beaten || committed.contains(attempt.number);
    if (!decided) continue;
    const auto note = [&](const std::string& name) {
      const auto known = std::ranges::any_of(
          attempt.damage, [&](const std::string& text) { return text.starts_with(name); });
      if (!known) attempt.damage.push_back(name + ": missing, or no regular file");
    };
    if (!attempt.claim && !attempt.claim_unread) note("claim.json");
    if (!attempt.decision) note("decision.json");
    std::sort(attempt.damage.begin(), attempt.damage.end());
  }
}

}  // namespace lockstep
