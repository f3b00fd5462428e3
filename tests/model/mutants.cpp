#include "tests/model/mutants.h"

#include <algorithm>

#include "coordinator/attempt.h"
#include "coordinator/catalog.h"
#include "coordinator/commit.h"
#include "coordinator/retention.h"

namespace lockstep::model {

namespace {

Mutant the_highest_number_wins() {
  Mutant mutant{"the highest number wins", {}};
  mutant.steps.decide = [](FileSystem& files, const LaunchFacts& facts, std::int64_t attempt,
                           const Decided& trial) {
    auto decided = decide_claimed(files, facts, attempt);
    auto& record = decided.ruling.record;
    if (record.kind != DecisionKind::kRestore) return decided;
    for (const auto& checkpoint : trial.store.checkpoints)
      if (checkpoint.id.iteration > record.parent->checkpoint.iteration)
        record.parent->checkpoint = checkpoint.id;
    write_decision(files, facts.store_path, attempt, record);
    return decided;
  };
  return mutant;
}

Mutant the_request_is_applied_every_time() {
  Mutant mutant{"the request is applied every time", {}};
  mutant.steps.facts = [](LaunchFacts facts) {
    facts.run.id += "-" + random_hex(8);  // nobody's earlier attempts are of this run
    return facts;
  };
  return mutant;
}

Mutant prune_by_number() {
  Mutant mutant{"prune by number", {}};
  mutant.steps.retain = [](FileSystem& files, const std::string& store, std::int64_t mine,
                           const RetentionRule& rule) {
    auto view = scan_store(files, store);
    auto& all = view.checkpoints;
    std::sort(all.begin(), all.end(), [](const CheckpointView& a, const CheckpointView& b) {
      return a.id.iteration > b.id.iteration;
    });
    for (auto i = static_cast<std::size_t>(rule.keep_last); i < all.size(); ++i)
      delete_checkpoint(files, store, mine, all[i].id);
  };
  return mutant;
}

Mutant decide_before_the_claim() {
  Mutant mutant{"decide before the claim", {}};
  mutant.steps.decide = [](FileSystem& files, const LaunchFacts& facts, std::int64_t attempt,
                           const Decided& trial) {
    auto decided = trial;
    decided.ruling.record.attempt = attempt;
    write_decision(files, facts.store_path, attempt, decided.ruling.record);
    return decided;
  };
  return mutant;
}

Mutant no_second_look() {
  Mutant mutant{"no second look after the rename", {}};
  mutant.steps.commit = [](FileSystem& files, const std::string& store, const Manifest& manifest) {
    const auto& id = manifest.checkpoint;
    const auto partial = partial_path(store, id);
    const auto file = files.create(partial + "/manifest.json");
    const auto text = encode_manifest(manifest);
    file->append(std::as_bytes(std::span(text)));
    file->finish();
    files.sync_folder(partial);
    require_newest(files, store, id.attempt);
    files.rename(partial, checkpoint_path(store, id));
    files.sync_folder(checkpoints_path(store));
  };
  return mutant;
}

// The others look when they start, as rank 0 does on trial, and take what they see.
Mutant each_rank_decides_alone() {
  Mutant mutant{"each rank decides alone", {}};
  mutant.steps.other_rank = [](const DecisionRecord&, const Decided& trial) {
    return trial.ruling.record;
  };
  return mutant;
}

Mutant best_is_the_newest() {
  Mutant mutant{"best takes the newest", {}};
  mutant.steps.facts = [](LaunchFacts facts) {
    auto& mode = facts.request.mode;
    if (mode == RestoreMode::kBest && facts.keep_best) mode = RestoreMode::kLatest;
    return facts;
  };
  return mutant;
}

Mutant the_best_are_not_kept() {
  Mutant mutant{"the best are not kept", {}};
  mutant.steps.rule = [](RetentionRule& rule) { rule.keep_best.reset(); };
  return mutant;
}

bool says(const Decided& decided, const std::string& text) {
  const auto& reasons = decided.ruling.record.reasons;
  return std::any_of(reasons.begin(), reasons.end(), [&](const std::string& reason) {
    return reason.find(text) != std::string::npos;
  });
}

// Decides as lockstep does, but for what `spoil` does to it.
Steps deciding(const std::function<void(const LaunchFacts&, Decided&)>& spoil) {
  Steps steps;
  steps.decide = [spoil](FileSystem& files, const LaunchFacts& facts, std::int64_t attempt,
                         const Decided&) {
    auto decided = decide_claimed(files, facts, attempt);
    spoil(facts, decided);
    return decided;
  };
  return steps;
}

Mutant a_requeue_forgets_what_is_left_out() {
  return {"a requeue forgets exclude and skip_samples",
          deciding([](const LaunchFacts&, Decided& decided) {
            if (!says(decided, "the same start again")) return;
            decided.ruling.selection.exclude.clear();
            decided.ruling.skip_samples = 0;
          })};
}

Mutant samples_are_skipped_at_every_launch() {
  return {"samples are skipped at every launch",
          deciding([](const LaunchFacts& facts, Decided& decided) {
            if (decided.ruling.chosen) decided.ruling.skip_samples = facts.request.skip_samples;
          })};
}

// What was restored from elsewhere is restored again, and what was done since is lost.
Mutant from_is_applied_after_a_commit() {
  Mutant mutant{"from is applied after a commit", {}};
  mutant.steps.facts = [](LaunchFacts facts) {
    if (facts.request.from) facts.request.once = false;
    return facts;
  };
  return mutant;
}

// The newest attempt's own work is its lineage.
Mutant prune_ignores_branch_points() {
  Mutant mutant{"prune ignores branch points", {}};
  mutant.steps.prune = [](const FileSystem& files, const std::string& store, StoreView& view,
                          const PruneRequest& request) {
    auto cut = view;
    for (auto& attempt : cut.attempts)
      if (attempt.decision) attempt.decision->parent.reset();
    return look_at_pruned(files, store, cut, request);
  };
  return mutant;
}

Mutant what_can_not_be_read_is_not_there() {
  Mutant mutant{"what can't be read is not there", {}};
  mutant.steps.decide = [](FileSystem& files, const LaunchFacts& facts, std::int64_t attempt,
                           const Decided& trial) {
    try {
      return decide_claimed(files, facts, attempt);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kIo) throw;
      auto decided = trial;
      auto& ruling = decided.ruling;
      ruling = Ruling{};
      ruling.record.kind = DecisionKind::kFresh;
      ruling.record.attempt = attempt;
      ruling.record.request = canonical_json(facts.request);
      ruling.record.run = facts.run.id;
      write_decision(files, facts.store_path, attempt, ruling.record);
      return decided;
    }
  };
  return mutant;
}

}  // namespace

std::vector<Mutant> mutants() {
  return {the_highest_number_wins(),
          the_request_is_applied_every_time(),
          prune_by_number(),
          decide_before_the_claim(),
          no_second_look(),
          each_rank_decides_alone(),
          best_is_the_newest(),
          the_best_are_not_kept(),
          a_requeue_forgets_what_is_left_out(),
          samples_are_skipped_at_every_launch(),
          from_is_applied_after_a_commit(),
          prune_ignores_branch_points(),
          what_can_not_be_read_is_not_there()};
}

}  // namespace lockstep::model
