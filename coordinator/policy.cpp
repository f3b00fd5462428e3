#include "coordinator/policy.h"

#include <filesystem>

#include "coordinator/drift.h"
#include "coordinator/finished.h"
#include "coordinator/request_rows.h"
#include "coordinator/requeue.h"
#include "coordinator/settle.h"

namespace lockstep {

namespace {

std::string whose(std::int64_t attempt) {
  return "attempt " + std::to_string(attempt) + "'s lineage";
}

// Row: applied before, something committed since.
void rule_carry_on(Ruling& ruling, const StoreView& store, const LaunchFacts& launch,
                   const AppliedBefore& before) {
  const auto since = before.named ? " from " + to_text(*before.named) + " on" : "";
  const auto pick = pick_newest(store, carry_on_candidates(store, before),
                                launch.request.max_lost_iterations, whose(before.newest) + since);
  if (pick.chosen)
    ruling.record.reasons.push_back(carry_on_text(launch.request, before, *pick.chosen));
  settle_pick(ruling, {store}, pick);
}

// Whether the choice may be made anew where what it chose is not there any more.
bool may_choose_anew(const Request& request) {
  return request.present &&
         (request.mode == RestoreMode::kLatest || request.mode == RestoreMode::kBest);
}

// The checkpoint that an attempt started from, and where it is now.
struct Start {
  CheckpointId id;
  Ground ground;
};

// nullopt: what it started from is not among what `source` holds.
std::optional<Start> find_start(const StoreView& store, const AppliedBefore& before,
                                const SourceView* source) {
  if (before.start && !before.start->store) return Start{before.start->checkpoint, {store}};
  if (before.source)
    if (const auto own = parse_checkpoint_id(*before.source)) return Start{*own, {store}};
  if (source == nullptr || source->kind == SourceKind::kWeights) return std::nullopt;
  if (before.start) return Start{before.start->checkpoint, {source->store, source}};
  const auto folder = std::filesystem::path(before.source.value_or("")).filename().string();
  const auto named = parse_checkpoint_folder(folder);
  if (source->kind == SourceKind::kCheckpoint)
    return Start{source->store.checkpoints.front().id, {source->store, source}};
  return named ? std::optional(Start{*named, {source->store, source}}) : std::nullopt;
}

// The recorded start from weights in files.
void rule_same_weights(Ruling& ruling, const LaunchFacts& launch, const AppliedBefore& before,
                       const SourceView& source) {
  if (source.digest != before.source_digest)
    return settle_error(ruling, ErrorCode::kMismatch,
                        source.path + " is another file than when attempt " +
                            std::to_string(before.newest) +
                            " started from it; to start from this one set run.id");
  ruling.record.reasons.push_back(same_start_text(launch.request, before));
  settle_weights(ruling, source, launch.request);
}

std::string found_to_be(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return "gone";
    case ErrorCode::kMismatch:
      return "another";
    default:
      return "damaged";
  }
}

// The checkpoint of a recorded start. What restore.from names may be another store by now, with a
// checkpoint of the same name: only the one with the recorded manifest is the same start.
Pick pick_recorded(const AppliedBefore& before, const Start& start) {
  auto pick = pick_named(start.ground.store, start.id);
  if (!pick.chosen || start.ground.source == nullptr) return pick;
  if (start.ground.store.checkpoint(start.id)->examined->manifest_digest == before.source_digest)
    return pick;
  pick.chosen.reset();
  pick.code = ErrorCode::kMismatch;
  pick.error = to_text(start.id) + " of " + start.ground.source->path +
               " is another checkpoint than when attempt " + std::to_string(before.newest) +
               " started from it; to start from this one set run.id";
  return pick;
}

// The recorded start from a checkpoint. false: gone, another or damaged, and to be chosen anew.
bool rule_same_checkpoint(Ruling& ruling, const LaunchFacts& launch, const AppliedBefore& before,
                          const Start& start) {
  const auto pick = pick_recorded(before, start);
  if (pick.chosen || pick.examine) {
    if (pick.chosen) ruling.record.reasons.push_back(same_start_text(launch.request, before));
    // Weights alone have no parent: what has one had carried on, though by whose work is not known
    // any more, and nothing of the request was applied to it.
    const bool had_carried_on = before.start && launch.request.model_only;
    settle_pick(ruling, start.ground, pick, had_carried_on ? nullptr : &launch.request);
    return true;
  }
  if (!may_choose_anew(launch.request)) {
    ruling.record.rejected = pick.rejected;
    settle_error(ruling, pick.code, pick.error);
    return true;
  }
  ruling.record.reasons.push_back(
      "attempt " + std::to_string(before.newest) + " started from " + to_text(start.id) +
      ", which is " + found_to_be(pick.code) + " now: " +
      (launch.request.mode == RestoreMode::kBest ? "best" : "latest") + " is decided anew");
  return false;
}

// Row: applied before, nothing committed since: the recorded start again. false: to be decided
// anew.
bool rule_same_start(Ruling& ruling, const StoreView& store, const LaunchFacts& launch,
                     const SourceView* source, const AppliedBefore& before) {
  if (!before.start && !before.source) {
    settle_fresh(ruling, store, same_start_text(launch.request, before));
    return true;
  }
  const auto start = find_start(store, before, source);
  if (start) return rule_same_checkpoint(ruling, launch, before, *start);
  if (source == nullptr) {
    ruling.read_source = true;
    return true;
  }
  if (source->kind == SourceKind::kWeights) {
    rule_same_weights(ruling, launch, before, *source);
    return true;
  }
  settle_error(ruling, ErrorCode::kMismatch,
               source->path + " does not hold what attempt " + std::to_string(before.newest) +
                   " started from, " + before.source.value_or("?") +
                   "; to start from what is there now set run.id");
  return true;
}

// The two rows of a request that its run has applied before; false: decide as if it had not.
bool rule_requeue(Ruling& ruling, const StoreView& store, const LaunchFacts& launch,
                  const SourceView* source) {
  const auto before = applied_before(store, launch.request, launch.run);
  if (!before) return false;
  if (!before->committed_since) return rule_same_start(ruling, store, launch, source, *before);
  rule_carry_on(ruling, store, launch, *before);
  return true;
}

// The manifest of the chosen checkpoint; null for weights and a fresh start.
const Manifest* manifest_of(const Ruling& ruling, const StoreView& store,
                            const SourceView* source) {
  if (!ruling.chosen) return nullptr;
  const auto& holder = ruling.chosen->in_source ? source->store : store;
  const auto& examined = holder.checkpoint(ruling.chosen->id)->examined;
  return examined->manifest ? &*examined->manifest : nullptr;
}

// Whether it matters to the decision that the own store is not there: it does but to an error about
// something else.
bool concerns_own_store(const Ruling& ruling, const LaunchFacts& launch) {
  if (ruling.record.kind != DecisionKind::kError) return true;
  return ruling.code == ErrorCode::kNotFound && !launch.request.from;
}

// The rows of a launch that has no store to start in. true: one fits.
bool rule_no_store(Ruling& ruling, const StoreView& store, const LaunchFacts& launch) {
  if (store.exists || !concerns_own_store(ruling, launch)) return false;
  auto& reasons = ruling.record.reasons;
  if (launch.run.restart_count > 0) {
    reasons.clear();  // they speak of a start
    settle_error(ruling, ErrorCode::kIo,
                 "this is a Slurm restart and the store " + launch.store_path +
                     " is not there: a file system is missing; where none was ever made: mkdir " +
                     launch.store_path);
    return true;
  }
  if (store.can_be_made || ruling.record.kind == DecisionKind::kError) return false;
  reasons.clear();
  settle_error(ruling, ErrorCode::kNotFound,
               "the folder in which the store " + launch.store_path +
                   " is to be made is not there: make it, or correct store:");
  return true;
}

// A store is often shared, a run id often new: whose work it begins with is worth a line.
void name_other_run(Ruling& ruling, const StoreView& store, const LaunchFacts& launch) {
  if (!launch.run.stable || !ruling.chosen || ruling.chosen->in_source) return;
  const auto* attempt = store.attempt(ruling.chosen->id.attempt);
  const auto run = attempt != nullptr ? run_of(*attempt) : std::nullopt;
  if (!run || *run == launch.run.id) return;
  ruling.record.reasons.push_back(to_text(ruling.chosen->id) + " is the work of run " + *run +
                                  "; run " + launch.run.id + " begins with it");
}

void settle_finished(Ruling& ruling, const std::string& reason) {
  auto& record = ruling.record;
  record.kind = DecisionKind::kFinished;
  record.reasons.insert(record.reasons.begin(), reason);
}

// An evaluation of a model that nobody has trained, though it was not asked for: most likely the
// store is another one.
bool evaluates_nothing(const Ruling& ruling, const LaunchFacts& launch) {
  const bool asked = launch.request.present && launch.request.mode == RestoreMode::kFresh;
  return ruling.record.kind == DecisionKind::kFresh && !asked;
}

// The checks of a decision that was reached: rows "finished" and "crash loop".
void check_ruling(Ruling& ruling, const StoreView& store, const LaunchFacts& launch,
                  const SourceView* source) {
  const auto* manifest = manifest_of(ruling, store, source);
  name_other_run(ruling, store, launch);
  if (!launch.evaluates) {
    if (const auto reason = nothing_to_train(launch, ruling, manifest))
      return settle_finished(ruling, *reason);
    if (const auto loop = crash_loop(store, launch, ruling))
      return settle_error(ruling, ErrorCode::kMismatch, *loop);
  }
  if (launch.evaluates && evaluates_nothing(ruling, launch))
    return settle_error(ruling, ErrorCode::kNotFound,
                        "nothing to evaluate: there is no checkpoint in " + launch.store_path +
                            "; name another store, or write restore: fresh to evaluate a model "
                            "that was not trained");
  if (manifest == nullptr) return;
  const auto drift = drift_reasons(*manifest, launch, ruling.record.parent.has_value());
  auto& reasons = ruling.record.reasons;
  reasons.insert(reasons.end(), drift.begin(), drift.end());
}

// What the user's next launch will do, where that is not simply to carry on.
std::string next_launch(const LaunchFacts& launch) {
  if (launch.evaluates) return "";
  if (launch.request_is_set && launch.run.stable)
    return "restore is said by --set, for this launch alone: a requeue without it has what the "
           "file says, as a new request";
  if (!applies_again(launch.request)) return "";
  if (!launch.run.stable) return "the next launch will do this again; set run.id to carry on";
  if (!launch.request.once)
    return "the next launch will do this again, as restore.once: false says; write restore: latest "
           "to carry on";
  if (launch.run.from_slurm)
    return "a requeue of job " + launch.run.job.value_or("") +
           " carries on; the same command typed again in it will do this again";
  return "";
}

}  // namespace

Ruling rule(const StoreView& store, const LaunchFacts& launch, const SourceView* source) {
  Ruling ruling;
  auto& record = ruling.record;
  record.request = canonical_json(launch.request);
  record.run = launch.run.id;
  if (!rule_requeue(ruling, store, launch, source)) rule_request(ruling, store, launch, source);
  if (!ruling.settled()) return ruling;
  const bool no_store = rule_no_store(ruling, store, launch);
  if (!no_store && record.kind != DecisionKind::kError) check_ruling(ruling, store, launch, source);
  if (record.kind == DecisionKind::kFresh || record.kind == DecisionKind::kRestore) {
    record.attempt = store.highest_attempt() + 1;
    if (const auto advice = next_launch(launch); !advice.empty()) record.reasons.push_back(advice);
  }
  if (record.kind == DecisionKind::kError) {
    record.parent.reset();
    record.source.reset();
    record.manifest_digest.reset();
  }
  return ruling;
}

DecisionRecord error_record(const LaunchFacts& launch, ErrorCode code, const std::string& error) {
  Ruling ruling;
  ruling.record.request = canonical_json(launch.request);
  ruling.record.run = launch.run.id;
  settle_error(ruling, code, error);
  return ruling.record;
}

}  // namespace lockstep
