#include "coordinator/requeue.h"

#include <algorithm>

#include "coordinator/candidates.h"
#include "coordinator/lineage.h"

namespace lockstep {

namespace {

constexpr std::size_t kCrashLoopAttempts = 3;

// What an attempt decided by: decision.json, or where that is damaged the claim, which is written
// before the decision. An attempt with neither a decision nor a checkpoint has decided nothing.
std::optional<std::string> decided_by(const AttemptView& attempt) {
  if (attempt.decision) return attempt.decision->request;
  if (attempt.damage.empty() || !attempt.claim || parent_unknown(attempt)) return std::nullopt;
  return attempt.claim->request;
}

std::string mode_name(const Request& request) {
  switch (request.mode) {
    case RestoreMode::kFresh:
      return "fresh";
    case RestoreMode::kLatest:
      return "latest";
    case RestoreMode::kBest:
      return "best";
    case RestoreMode::kIteration:
      break;
  }
  return "iteration " + std::to_string(*request.iteration);
}

std::string name_of(const Request& request) {
  if (!request.present) return "the absent restore section";
  return request.from ? "from " + *request.from : mode_name(request);
}

// Whether an attempt has committed: what it said counts as what is there, since a checkpoint that
// is gone is no reason to begin again as if nothing had been.
bool has_committed(const StoreView& store, const AttemptView& attempt) {
  if (attempt.outcome && attempt.outcome->last_committed_iteration) return true;
  if (attempt.heartbeat && attempt.heartbeat->last_committed) return true;
  return std::any_of(store.checkpoints.begin(), store.checkpoints.end(),
                     [&](const CheckpointView& c) { return c.id.attempt == attempt.number; });
}

AppliedBefore start_of(const AttemptView& attempt) {
  AppliedBefore before;
  before.newest = attempt.number;
  if (attempt.decision) {
    before.start = attempt.decision->parent;
    before.source = attempt.decision->source;
    before.source_digest = attempt.decision->manifest_digest.value_or("");
  } else if (const auto parent = parent_of(attempt)) {
    before.start = Parent{*parent, std::nullopt};
  }
  return before;
}

}  // namespace

std::optional<AppliedBefore> applied_before(const StoreView& store, const Request& request,
                                            const RunIdentity& run) {
  if (request.present && !request.once) return std::nullopt;
  const auto today = canonical_json(request);
  std::optional<AppliedBefore> before;
  const auto mine = attempts_of(store, run);
  for (auto it = mine.rbegin(); it != mine.rend(); ++it) {
    const auto& attempt = **it;
    const auto decided = decided_by(attempt);
    if (!decided) continue;
    if (*decided != today) break;
    if (!before) before = start_of(attempt);
    before->first = attempt.number;
    const bool named = request.present && request.mode == RestoreMode::kIteration;
    before->named = named ? parent_of(attempt) : std::nullopt;
    before->committed_since = before->committed_since || has_committed(store, attempt);
  }
  return before;
}

bool applies_again(const Request& request) {
  return request.present &&
         (request.mode != RestoreMode::kLatest || request.from || request.model_only ||
          request.skip_samples > 0 || !request.exclude.empty());
}

std::vector<CheckpointId> carry_on_candidates(const StoreView& store, const AppliedBefore& before) {
  auto found = lineage(store, before.newest);
  // By order: retention may have deleted what was named. An ancestor's number is lower.
  if (before.named) std::erase_if(found, [&](const auto& id) { return id < *before.named; });
  return found;
}

std::string carry_on_text(const Request& request, const AppliedBefore& before,
                          const CheckpointId& chosen) {
  const auto text = name_of(request) + " was applied by attempt " + std::to_string(before.first) +
                    "; carrying on from " + to_text(chosen);
  // Where that would come to the same nobody wants to be told how.
  return applies_again(request) ? text + "; to apply it again set run.id or restore.once" : text;
}

std::string same_start_text(const Request& request, const AppliedBefore& before) {
  return name_of(request) + " was applied by attempt " + std::to_string(before.first) +
         " and nothing was committed since: the same start again, " +
         (before.source  ? *before.source
          : before.start ? to_text(before.start->checkpoint)
                         : "fresh");
}

namespace {

// An attempt that ended without completing one iteration, by a crash or a hang.
bool died_at_start(const AttemptView& attempt, std::int64_t start) {
  if (attempt.outcome && attempt.outcome->exit_code != 3 && attempt.outcome->exit_code != 76)
    return false;
  return !attempt.heartbeat || attempt.heartbeat->iteration <= start;
}

bool same_decision(const DecisionRecord& a, const DecisionRecord& b) {
  return a.kind == b.kind && a.parent == b.parent && a.source == b.source && a.request == b.request;
}

bool same_circumstances(const Claim& claim, const LaunchFacts& launch) {
  return claim.build == launch.build && claim.config_digest == launch.config_digest &&
         claim.world_size == launch.world_size;
}

// The section that takes a checkpoint of the own store as it is, or nothing.
Request plain_section(const std::optional<Parent>& parent) {
  Request section;
  section.present = true;
  section.mode = parent ? RestoreMode::kIteration : RestoreMode::kFresh;
  if (!parent) return section;
  section.attempt = parent->checkpoint.attempt;
  section.iteration = parent->checkpoint.iteration;
  return section;
}

// What lifts the crash loop and makes this start again. A short section is none for a start from
// elsewhere or from a part, nor where it is what was asked for already.
std::string way_out(const Ruling& ruling) {
  const auto& record = ruling.record;
  const bool is_plain = !record.source && !(record.parent && record.parent->store) &&
                        ruling.selection.exclude.empty() && ruling.skip_samples == 0;
  if (!is_plain || canonical_json(plain_section(record.parent)) == record.request)
    return "another run.id applies the restore section anew, which loses nothing";
  return "restore: " + (record.parent ? to_text(record.parent->checkpoint) : "fresh") +
         " loses nothing";
}

}  // namespace

std::optional<std::string> crash_loop(const StoreView& store, const LaunchFacts& launch,
                                      const Ruling& ruling) {
  const auto& record = ruling.record;
  const auto mine = attempts_of(store, launch.run);
  if (mine.size() < kCrashLoopAttempts) return std::nullopt;
  const auto start = record.parent ? record.parent->checkpoint.iteration : 0;
  std::vector<std::string> hosts;
  std::string numbers;
  for (auto it = mine.rbegin(); it != mine.rbegin() + kCrashLoopAttempts; ++it) {
    const auto& attempt = **it;
    if (!attempt.claim || !attempt.decision || !same_decision(*attempt.decision, record) ||
        !died_at_start(attempt, start) || !same_circumstances(*attempt.claim, launch))
      return std::nullopt;
    numbers = std::to_string(attempt.number) + (numbers.empty() ? "" : ", ") + numbers;
    for (const auto& host : attempt.claim->hosts)
      if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) hosts.push_back(host);
  }
  // Against all of them: two that died elsewhere are no sign that the third's host was to blame.
  if (std::find_first_of(hosts.begin(), hosts.end(), launch.hosts.begin(), launch.hosts.end()) ==
      hosts.end())
    return std::nullopt;
  return "crash loop: attempts " + numbers + " of run " + launch.run.id +
         " made this decision and each ended before completing one iteration (hosts: " +
         enumerate(hosts) + "); to try again change the cause: configuration, build, world size, " +
         "run.id, or take none of these hosts; " + way_out(ruling);
}

}  // namespace lockstep
