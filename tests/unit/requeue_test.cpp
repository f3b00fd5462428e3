#include "coordinator/requeue.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/decision_rows.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)

std::vector<Row> requeue_rows() {
  const auto kFreshKind = DecisionKind::kFresh;
  const auto kRestored = DecisionKind::kRestore;
  const auto kErr = DecisionKind::kError;
  const auto applied = [] {  // run r went back to 1@10 and committed 2@15, 2@22
    return plain().attempt("r", iteration(10), CheckpointId{1, 10}).checkpoint(15).checkpoint(22);
  };
  return {
      {"committed since: carries on",
       applied(),
       launch_of(iteration(10), "r"),
       kRestored,
       {{2, 22}},
       0,
       {"iteration 10 was applied by attempt 2; carrying on from 2@22"}},
      {"carries on though another attempt is newer",
       applied().attempt("x", fresh()).checkpoint(99),
       launch_of(iteration(10), "r"),
       kRestored,
       {{2, 22}}},
      {"fresh, committed since",
       plain().attempt("r", fresh()).checkpoint(5),
       launch_of(fresh(), "r"),
       kRestored,
       {{2, 5}},
       0,
       {"fresh was applied by attempt 2; carrying on from 2@5; to apply it again set run.id"}},
      {"absent section is a request too",
       StoreBuilder().attempt("r", {}).checkpoint(5),
       launch_of({}, "r"),
       kRestored,
       {{1, 5}}},
      {"once: false applies it again",
       applied(),
       launch_of(always(iteration(10)), "r"),
       kRestored,
       {{1, 10}},
       0,
       {"the next launch will do this again"}},
      {"a changed section is a new request",
       applied(),
       launch_of(iteration(15), "r"),
       kRestored,
       {{2, 15}}},
      {"another run's request is not this one's",
       applied(),
       launch_of(iteration(10), "s"),
       kRestored,
       {{1, 10}}},
      {"nothing committed since: the same start",
       plain()
           .attempt("r", latest(), CheckpointId{1, 20})
           .attempt("x", latest(), CheckpointId{1, 30})
           .checkpoint(50),
       launch_of(latest(), "r"),
       kRestored,
       {{1, 20}},
       0,
       {"nothing was committed since"}},
      {"nothing committed since, fresh",
       plain().attempt("r", fresh()),
       launch_of(fresh(), "r"),
       kFreshKind,
       {},
       0,
       {"nothing was committed since"}},
      {"same start damaged now, latest anew",
       StoreBuilder().attempt("a", {}).checkpoint(10).checkpoint(20, kBad).attempt(
           "r", latest(), CheckpointId{1, 20}),
       launch_of(latest(), "r"),
       kRestored,
       {{1, 10}},
       0,
       {"1@20", "decided anew"}},
      {"same start gone now, latest anew",
       StoreBuilder().attempt("a", {}).checkpoint(10).attempt("r", latest(), CheckpointId{1, 20}),
       launch_of(latest(), "r"),
       kRestored,
       {{1, 10}},
       0,
       {"1@20, which is gone"}},
      {"same start damaged now, named",
       StoreBuilder().attempt("a", {}).checkpoint(10).checkpoint(20, kBad).attempt(
           "r", iteration(20), CheckpointId{1, 20}),
       launch_of(iteration(20), "r"),
       kErr,
       {},
       2,
       {"1@20"}},
      {"a refused attempt has applied nothing",
       plain().attempt("r", iteration(10), CheckpointId{1, 10}).outcome(OutcomeKind::kRefused, 2),
       launch_of(iteration(10), "r"),
       kRestored,
       {{1, 10}}},
      {"its newest damaged: an older one of its own",
       applied().checkpoint(30, kBad),
       launch_of(iteration(10), "r"),
       kRestored,
       {{2, 22}},
       0,
       {"2@30"}},
      {"... within max_lost_iterations",
       plain()
           .attempt("r", with_lost(iteration(10), 7), CheckpointId{1, 10})
           .checkpoint(15)
           .checkpoint(23, kBad),
       launch_of(with_lost(iteration(10), 7), "r"),
       kErr,
       {},
       2,
       {"2@23", "max_lost_iterations is 7"}},
      {"... and equal is allowed",
       plain()
           .attempt("r", with_lost(iteration(10), 8), CheckpointId{1, 10})
           .checkpoint(15)
           .checkpoint(23, kBad),
       launch_of(with_lost(iteration(10), 8), "r"),
       kRestored,
       {{2, 15}}},
      {"after a named restore never an ancestor of what was named",
       plain().attempt("r", iteration(20), CheckpointId{1, 20}).checkpoint(25, kBad),
       launch_of(iteration(20), "r"),
       kRestored,
       {{1, 20}}},
      {"... not even where that is damaged too",
       StoreBuilder()
           .attempt("a", {})
           .checkpoint(10)
           .checkpoint(20, kBad)
           .attempt("r", iteration(20), CheckpointId{1, 20})
           .checkpoint(25, kBad),
       launch_of(iteration(20), "r"),
       kErr,
       {},
       2,
       {"2@25", "1@20"}},
      {"... nor where retention has deleted what was named: none good",
       StoreBuilder()
           .attempt("a", {})
           .checkpoint(10)
           .attempt("r", iteration(20), CheckpointId{1, 20})
           .checkpoint(25, kBad),
       launch_of(iteration(20), "r"),
       kErr,
       {},
       2,
       {"no good checkpoint in attempt 2's lineage from 1@20 on: 2@25"}},
      {"... but what came after it is taken, of whichever attempt",
       StoreBuilder()
           .attempt("a", {})
           .checkpoint(10)
           .attempt("r", iteration(20), CheckpointId{1, 20})
           .checkpoint(25)
           .attempt("r", iteration(20), CheckpointId{2, 25})
           .checkpoint(30, kBad),
       launch_of(iteration(20), "r"),
       kRestored,
       {{2, 25}}},
      {"carries on over several attempts",
       applied()
           .attempt("r", iteration(10), CheckpointId{2, 22})
           .checkpoint(40)
           .attempt("r", iteration(10), CheckpointId{3, 40}),
       launch_of(iteration(10), "r"),
       kRestored,
       {{3, 40}},
       0,
       {"applied by attempt 2"}},
      {"finished by carrying on",
       applied(),
       launch_of(iteration(10), "r", 22),
       DecisionKind::kFinished,
       {{2, 22}}},
      {"decision damaged: request from the claim, parent from the manifests",
       applied().decision_damaged(),
       launch_of(iteration(10), "r"),
       kRestored,
       {{2, 22}}},
      {"claim damaged: the run from the decision",
       applied().claim_damaged(),
       launch_of(iteration(10), "r"),
       kRestored,
       {{2, 22}},
       0,
       {"applied by attempt 2"}},
      {"died between claim and decision: applied nothing",
       plain().attempt("r", iteration(10)).no_decision(),
       launch_of(iteration(10), "r"),
       kRestored,
       {{1, 10}}},
  };
}

TEST(Rule, AppliesARequestOncePerRun) {
  for (const auto& row : requeue_rows())
    check(row);
}

TEST(Rule, WhatARunSaidItHadCommittedIsNeverForgotten) {
  auto store = StoreBuilder().attempt("r", automatic());
  store.last().heartbeat = Heartbeat{1, 30, 30};
  check({"its checkpoints are gone",
         store,
         launch_of(automatic(), "r"),
         DecisionKind::kError,
         {},
         2,
         {"no checkpoint in attempt 1's lineage"}});
}

TEST(Rule, WhatCameBeforeANamedRestoreIsElsewhereThoughAllSinceIsGone) {
  auto store = StoreBuilder().attempt("a", {}).checkpoint(10);
  store.attempt("r", iteration(20), CheckpointId{1, 20}).last().heartbeat = Heartbeat{1, 25, 25};
  check({"its checkpoints and the named one are gone",
         store,
         launch_of(iteration(20), "r"),
         DecisionKind::kError,
         {},
         2,
         {"no checkpoint in attempt 2's lineage from 1@20 on; the newest elsewhere in the store is "
          "1@10 (restore: 1@10)"}});
}

TEST(Rule, SlurmsRestartCountTellsRunsApart) {
  const auto store = StoreBuilder().attempt("slurm-7", {}).restarts(0).checkpoint(5);
  auto launch = launch_of({}, "slurm-7");
  launch.run.from_slurm = true;
  launch.run.restart_count = 1;
  EXPECT_EQ(rule(store, launch).record.kind, DecisionKind::kRestore) << "a requeue carries on";
  launch.run.restart_count = 0;
  EXPECT_EQ(rule(store, launch).record.kind, DecisionKind::kError)
      << "the same command typed again is another run";
}

}  // namespace
}  // namespace lockstep
