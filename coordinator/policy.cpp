#include "coordinator/policy.h"

#include <algorithm>

#include "coordinator/candidates.h"
#include "coordinator/lineage.h"
#include "coordinator/requeue.h"

namespace lockstep {

namespace {

std::string whose(std::int64_t attempt) {
  return "attempt " + std::to_string(attempt) + "'s lineage";
}

std::vector<std::string> as_texts(const std::vector<CheckpointId>& ids) {
  std::vector<std::string> texts;
  for (const auto& id : ids)
    texts.push_back(std::to_string(id.iteration));
  return texts;
}

// Where `latest` and `iteration` look: the attempt named, or the newest whose lineage holds any.
struct Field {
  std::optional<std::int64_t> attempt;
  std::vector<CheckpointId> checkpoints;  // newest first
  std::vector<std::string> reasons;
  std::string error;  // the attempt named can't be taken
};

Field named_field(const StoreView& store, std::int64_t wanted) {
  Field field;
  const auto* attempt = store.attempt(wanted);
  if (attempt != nullptr && !is_refused(*attempt)) {
    field.attempt = wanted;
    field.checkpoints = lineage(store, wanted);
    return field;
  }
  std::vector<std::string> there;
  for (auto it = store.attempts.rbegin(); it != store.attempts.rend(); ++it)
    if (!is_refused(*it)) there.push_back(std::to_string(it->number));
  field.error = "attempt " + std::to_string(wanted) +
                (attempt != nullptr ? " was refused and holds nothing" : " does not exist") + "; " +
                (there.empty() ? "the store has no attempt" : "there is " + enumerate(there));
  return field;
}

Field field_of(const StoreView& store, const Request& request) {
  if (request.attempt) return named_field(store, *request.attempt);
  Field field;
  const auto newest = newest_lineage(store);
  field.attempt = newest.attempt;
  field.checkpoints = newest.checkpoints;
  if (!newest.passed_over.empty() && newest.attempt) {
    std::vector<std::string> passed;
    for (const auto number : newest.passed_over)
      passed.push_back(std::to_string(number));
    field.reasons.push_back("passed over, since no checkpoint is in its lineage: attempt " +
                            enumerate(passed));
  }
  return field;
}

void settle_error(Ruling& ruling, ErrorCode code, const std::string& error) {
  ruling.code = code;
  ruling.record.kind = DecisionKind::kError;
  ruling.record.error = error;
  ruling.record.exit_code = exit_code(code);
}

// Takes a pick over into the ruling; false where the ruling is complete (error or to be examined).
bool settle_pick(Ruling& ruling, const StoreView& store, const Pick& pick) {
  auto& record = ruling.record;
  record.rejected.insert(record.rejected.end(), pick.rejected.begin(), pick.rejected.end());
  if (pick.examine) {
    ruling.examine = pick.examine;
    return false;
  }
  if (!pick.chosen) {
    record.reasons.insert(record.reasons.end(), pick.reasons.begin(), pick.reasons.end());
    settle_error(ruling, pick.code, pick.error);
    return false;
  }
  record.kind = DecisionKind::kRestore;
  record.parent = Parent{*pick.chosen, std::nullopt};
  record.manifest_digest = store.checkpoint(*pick.chosen)->examined->manifest_digest;
  for (const auto& r : pick.rejected)
    record.reasons.push_back(to_text(r.checkpoint) + " is damaged and passed over: " + r.why);
  record.reasons.insert(record.reasons.end(), pick.reasons.begin(), pick.reasons.end());
  return true;
}

void settle_fresh(Ruling& ruling, const StoreView& store, const std::string& reason) {
  auto& record = ruling.record;
  record.kind = DecisionKind::kFresh;
  record.reasons.push_back(reason);
  if (store.checkpoints.empty()) return;
  const auto count = store.checkpoints.size();
  record.reasons.push_back(std::to_string(count) + (count == 1 ? " checkpoint" : " checkpoints") +
                           " in the store (newest " + to_text(store.checkpoints.back().id) +
                           ") stay" + (count == 1 ? "s" : "") + " untouched");
}

void rule_absent(Ruling& ruling, const StoreView& store) {
  if (store.checkpoints.empty())
    return settle_fresh(ruling, store, "no restore section, and no checkpoint yet: a fresh start");
  const auto newest = newest_lineage(store);
  const auto there = as_texts(newest.checkpoints);
  settle_error(ruling, ErrorCode::kInvalidConfig,
               "the store has checkpoints and the configuration has no restore section; write " +
                   std::string("restore: latest to carry on") +
                   (there.empty() ? "" : " from " + to_text(newest.checkpoints.front())) +
                   ", restore: fresh to start anew, or one of the iterations there are: " +
                   (there.empty() ? "none" : enumerate(there)));
}

// Any higher iteration in another lineage, so that nobody wonders where it went.
void name_higher_elsewhere(Ruling& ruling, const StoreView& store, const CheckpointId& chosen,
                           const std::vector<CheckpointId>& field) {
  std::optional<CheckpointId> higher;
  for (const auto& c : store.checkpoints)
    if (c.id.iteration > (higher ? higher->iteration : chosen.iteration) &&
        std::find(field.begin(), field.end(), c.id) == field.end())
      higher = c.id;
  if (higher)
    ruling.record.reasons.push_back(
        "a higher iteration is in another lineage and not taken: " + to_text(*higher) +
        " (restore: " + to_text(*higher) + " goes there)");
}

void rule_latest(Ruling& ruling, const StoreView& store, const Request& request) {
  if (store.checkpoints.empty()) {
    if (request.fresh_if_missing)
      return settle_fresh(ruling, store,
                          "no checkpoint yet, and if_missing is fresh: a fresh start");
    return settle_error(ruling, ErrorCode::kNotFound,
                        "latest: the store has no checkpoint; write restore: auto (or if_missing: "
                        "fresh) where a first start is meant to be fresh");
  }
  auto field = field_of(store, request);
  if (!field.error.empty()) return settle_error(ruling, ErrorCode::kNotFound, field.error);
  const auto pick = pick_newest(store, field.checkpoints, request.max_lost_iterations,
                                field.attempt ? whose(*field.attempt) : "any attempt's lineage");
  if (pick.chosen)
    ruling.record.reasons.push_back("latest: newest good checkpoint of " + whose(*field.attempt) +
                                    " is " + to_text(*pick.chosen));
  ruling.record.reasons.insert(ruling.record.reasons.end(), field.reasons.begin(),
                               field.reasons.end());
  if (settle_pick(ruling, store, pick))
    name_higher_elsewhere(ruling, store, *pick.chosen, field.checkpoints);
}

std::string missing_iteration(const StoreView& store, const Field& field, std::int64_t wanted) {
  auto text = "iteration " + std::to_string(wanted) + " is not in " +
              (field.attempt ? whose(*field.attempt) : "the store");
  std::vector<std::string> elsewhere;
  for (auto it = store.checkpoints.rbegin(); it != store.checkpoints.rend(); ++it)
    if (it->id.iteration == wanted) elsewhere.push_back(to_text(it->id));
  if (!elsewhere.empty())
    text += "; it exists as " + enumerate(elsewhere) + ": write restore: " + elsewhere.front();
  auto near = field.checkpoints;
  std::stable_sort(near.begin(), near.end(), [&](const CheckpointId& a, const CheckpointId& b) {
    return std::abs(a.iteration - wanted) < std::abs(b.iteration - wanted);
  });
  text +=
      near.empty() ? "; there is none" : "; there is, nearest first: " + enumerate(as_texts(near));
  return text;
}

void rule_iteration(Ruling& ruling, const StoreView& store, const Request& request) {
  const auto field = field_of(store, request);
  if (!field.error.empty()) return settle_error(ruling, ErrorCode::kNotFound, field.error);
  const auto wanted = *request.iteration;
  const auto found = std::find_if(field.checkpoints.begin(), field.checkpoints.end(),
                                  [&](const CheckpointId& id) { return id.iteration == wanted; });
  if (found == field.checkpoints.end())
    return settle_error(ruling, ErrorCode::kNotFound, missing_iteration(store, field, wanted));
  ruling.record.reasons.push_back("iteration " + std::to_string(wanted) + " was named: " +
                                  to_text(*found) + " of " + whose(*field.attempt));
  settle_pick(ruling, store, pick_named(store, *found));
}

void rule_request(Ruling& ruling, const StoreView& store, const LaunchFacts& launch) {
  const auto& request = launch.request;
  if (!request.present) return rule_absent(ruling, store);
  switch (request.mode) {
    case RestoreMode::kFresh:
      return settle_fresh(ruling, store, "fresh was asked for: nothing is loaded");
    case RestoreMode::kLatest:
      return rule_latest(ruling, store, request);
    case RestoreMode::kIteration:
      return rule_iteration(ruling, store, request);
    case RestoreMode::kBest:
      break;
  }
  settle_error(ruling, ErrorCode::kInvalidConfig, "restore.mode best: not in this version");
}

// The two rows of a request that its run has applied before; false: it was not.
bool rule_requeue(Ruling& ruling, const StoreView& store, const LaunchFacts& launch) {
  const auto before = applied_before(store, launch.request, launch.run);
  if (!before) return false;
  auto& record = ruling.record;
  if (before->committed_since) {
    const auto pick = pick_newest(store, carry_on_candidates(store, *before),
                                  launch.request.max_lost_iterations, whose(before->newest));
    if (pick.chosen) record.reasons.push_back(carry_on_text(launch.request, *before, *pick.chosen));
    settle_pick(ruling, store, pick);
    return true;
  }
  if (!before->start) {
    settle_fresh(ruling, store, same_start_text(launch.request, *before));
    return true;
  }
  const auto pick = pick_named(store, *before->start);
  if (pick.chosen || pick.examine) {
    if (pick.chosen) record.reasons.push_back(same_start_text(launch.request, *before));
    settle_pick(ruling, store, pick);
    return true;
  }
  if (launch.request.present && launch.request.mode == RestoreMode::kLatest) {
    const bool gone = pick.code == ErrorCode::kNotFound;
    record.reasons.push_back("attempt " + std::to_string(before->newest) + " started from " +
                             to_text(*before->start) + ", which is " + (gone ? "gone" : "damaged") +
                             " now: latest is decided anew");
    return false;
  }
  record.rejected = pick.rejected;
  settle_error(ruling, pick.code, pick.error);
  return true;
}

bool reached_end(const StoreView& store, const LaunchFacts& launch, const DecisionRecord& record) {
  const auto iteration = record.parent ? record.parent->checkpoint.iteration : 0;
  if (launch.max_iterations && iteration >= *launch.max_iterations) return true;
  if (!launch.max_epochs) return false;
  if (!record.parent) return *launch.max_epochs == 0;
  const auto& manifest = store.checkpoint(record.parent->checkpoint)->examined->manifest;
  return manifest && manifest->data.length > 0 &&
         manifest->data.position / manifest->data.length >= *launch.max_epochs;
}

// The checks of a decision that was reached: rows "Slurm restart with no store folder", "finished"
// and "crash loop"; and a store that can't be made.
void check_ruling(Ruling& ruling, const StoreView& store, const LaunchFacts& launch) {
  auto& record = ruling.record;
  if (record.kind == DecisionKind::kFresh && !store.exists && launch.run.restart_count > 0)
    return settle_error(ruling, ErrorCode::kIo,
                        "this is a Slurm restart and the store " + launch.store_path +
                            " is not there: a file system is missing; where none was ever made: "
                            "mkdir " +
                            launch.store_path);
  if (record.kind == DecisionKind::kFresh && !store.exists && !store.can_be_made)
    return settle_error(ruling, ErrorCode::kNotFound,
                        "the folder in which the store " + launch.store_path +
                            " is to be made is not there: make it, or correct store:");
  if (reached_end(store, launch, record)) {
    const auto start = record.parent ? to_text(record.parent->checkpoint) : "iteration 0";
    record.kind = DecisionKind::kFinished;
    record.reasons.insert(
        record.reasons.begin(),
        start + " has reached " +
            (launch.max_iterations ? "run.max_iterations " + std::to_string(*launch.max_iterations)
                                   : "run.max_epochs " + std::to_string(*launch.max_epochs)) +
            ": nothing to train");
    return;
  }
  if (const auto loop = crash_loop(store, launch, record))
    settle_error(ruling, ErrorCode::kMismatch, *loop);
}

}  // namespace

Ruling rule(const StoreView& store, const LaunchFacts& launch) {
  Ruling ruling;
  auto& record = ruling.record;
  record.request = canonical_json(launch.request);
  record.run = launch.run.id;
  if (!rule_requeue(ruling, store, launch)) rule_request(ruling, store, launch);
  if (ruling.examine) return ruling;
  if (record.kind != DecisionKind::kError) check_ruling(ruling, store, launch);
  if (record.kind == DecisionKind::kFresh || record.kind == DecisionKind::kRestore) {
    record.attempt = store.highest_attempt() + 1;
    const bool again = launch.request.mode == RestoreMode::kFresh ||
                       launch.request.mode == RestoreMode::kIteration;
    if (again && (!launch.run.stable || !launch.request.once) && launch.request.present)
      record.reasons.push_back(
          "the next launch will do this again; " +
          std::string(launch.run.stable ? "leave restore.once at true" : "set run.id") +
          " to carry on");
  } else {
    record.manifest_digest =
        record.kind == DecisionKind::kError ? std::nullopt : record.manifest_digest;
    if (record.kind == DecisionKind::kError) record.parent.reset();
  }
  return ruling;
}

DecisionRecord error_record(const LaunchFacts& launch, ErrorCode code, const std::string& error) {
  DecisionRecord record;
  record.request = canonical_json(launch.request);
  record.run = launch.run.id;
  record.exit_code = exit_code(code);
  record.error = error;
  return record;
}

}  // namespace lockstep
