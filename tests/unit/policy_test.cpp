#include "coordinator/policy.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/decision_rows.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Row> request_rows() {
  const auto kFreshKind = DecisionKind::kFresh;
  const auto kRestored = DecisionKind::kRestore;
  const auto kErr = DecisionKind::kError;
  return {
      {"absent section, no store", absent(), launch_of({}), kFreshKind, {}, 0, {"fresh start"}},
      {"absent section, empty store", StoreBuilder(), launch_of({}), kFreshKind, {}},
      {"absent section, checkpoints",
       plain(),
       launch_of({}),
       kErr,
       {},
       2,
       {"restore: fresh", "restore: latest", "30, 20 and 10"}},
      {"absent section, checkpoints in other lineages too",
       branched(),
       launch_of({}),
       kErr,
       {},
       2,
       {"there are: 35, 25, 20 and 10; in other lineages is 1 more, as restore: A@N (lockstep ls "
        "--all)"}},
      {"absent section, most checkpoints in other lineages",
       plain().attempt("b", fresh()).checkpoint(5),
       launch_of({}),
       kErr,
       {},
       2,
       {"from 2@5, ", "there are: 5; in other lineages are 3 more"}},
      {"absent section, only damaged",
       StoreBuilder().attempt("a", {}).checkpoint(10, kBad),
       launch_of({}),
       kErr,
       {},
       2,
       {"restore"}},
      {"fresh, checkpoints stay",
       plain(),
       launch_of(fresh()),
       kFreshKind,
       {},
       0,
       {"fresh was asked for", "3 checkpoints", "1@30", "untouched"}},
      {"fresh without an id says that it will be done again",
       plain(),
       launch_of(fresh()),
       kFreshKind,
       {},
       0,
       {"the next launch will do this again; set run.id"}},
      {"latest", plain(), launch_of(latest()), kRestored, {{1, 30}}, 0, {"attempt 1's lineage"}},
      {"latest goes by lineage, not by number",
       StoreBuilder()
           .attempt("a", {})
           .checkpoint(10)
           .checkpoint(90)
           .attempt("b", iteration(10), CheckpointId{1, 10})
           .checkpoint(20),
       launch_of(latest()),
       kRestored,
       {{2, 20}},
       0,
       {"1@90", "another lineage"}},
      {"latest names the highest iteration elsewhere",
       branched().attempt("c", iteration(10), CheckpointId{1, 10}).checkpoint(15),
       launch_of(latest()),
       kRestored,
       {{3, 15}},
       0,
       {"not taken: 2@35 (restore: 2@35 goes there)"}},
      {"latest names the newest attempt's of equally high iterations elsewhere",
       branched()
           .attempt("c", iteration(20), CheckpointId{1, 20})
           .checkpoint(35)
           .attempt("d", iteration(20), CheckpointId{1, 20})
           .checkpoint(30)
           .attempt("e", iteration(10), CheckpointId{1, 10})
           .checkpoint(30),
       launch_of(latest()),
       kRestored,
       {{5, 30}},
       0,
       {"not taken: 3@35 (restore: 3@35 goes there)"}},
      {"latest reaches the parent's checkpoints up to the branch point",
       plain().attempt("b", iteration(20), CheckpointId{1, 20}),
       launch_of(latest()),
       kRestored,
       {{1, 20}},
       0,
       {"1@30"}},
      {"latest passes over an attempt whose lineage is empty, and names it",
       plain().attempt("b", fresh()),
       launch_of(latest()),
       kRestored,
       {{1, 30}},
       0,
       {"passed over", "attempt 2"}},
      {"latest never counts a refused attempt",
       plain().attempt("b", iteration(10), CheckpointId{1, 10}).outcome(OutcomeKind::kRefused, 2),
       launch_of(latest()),
       kRestored,
       {{1, 30}}},
      {"latest passes over damage",
       plain().checkpoint(40, kBad),
       launch_of(latest()),
       kRestored,
       {{1, 30}},
       0,
       {"1@40", "planted"}},
      {"latest, all damaged, never another branch",
       plain().attempt("b", fresh()).checkpoint(5, kBad).checkpoint(9, kBad),
       launch_of(latest()),
       kErr,
       {},
       2,
       {"2@9", "2@5", "planted"}},
      {"latest passes over what is not finite",
       plain().checkpoint(40, kNan),
       launch_of(latest()),
       kRestored,
       {{1, 30}},
       0,
       {"1@40 is not finite"}},
      {"latest, only non-finite",
       StoreBuilder().attempt("a", {}).checkpoint(10, kNan),
       launch_of(latest()),
       kErr,
       {},
       2,
       {"finite"}},
      {"latest, only non-finite, and good ones elsewhere",
       plain().attempt("b", fresh()).checkpoint(5, kNan),
       launch_of(latest()),
       kErr,
       {},
       2,
       {"no finite checkpoint", "or restore: A@N to take a checkpoint of another lineage"}},
      {"latest, none", StoreBuilder(), launch_of(latest()), kErr, {}, 2, {"auto"}},
      {"latest, no store", absent(), launch_of(latest()), kErr, {}, 2},
      {"auto, none", StoreBuilder(), launch_of(automatic()), kFreshKind, {}},
      {"auto, all damaged is no first start",
       StoreBuilder().attempt("a", {}).checkpoint(10, kBad),
       launch_of(automatic()),
       kErr,
       {},
       2,
       {"1@10"}},
      {"auto, checkpoints", plain(), launch_of(automatic()), kRestored, {{1, 30}}},
      {"latest of an attempt",
       branched(),
       launch_of(of_attempt(latest(), 1)),
       kRestored,
       {{1, 30}}},
      {"latest of an attempt that is not there",
       plain(),
       launch_of(of_attempt(latest(), 9)),
       kErr,
       {},
       2,
       {"attempt 9 does not exist", "1"}},
      {"loss allowed, equal",
       plain().checkpoint(40, kBad),
       launch_of(with_lost(latest(), 10)),
       kRestored,
       {{1, 30}}},
      {"loss above the limit",
       plain().checkpoint(40, kBad),
       launch_of(with_lost(latest(), 9)),
       kErr,
       {},
       2,
       {"1@40", "1@30", "max_lost_iterations is 9"}},
      {"no loss at all allowed",
       plain().checkpoint(40, kBad),
       launch_of(with_lost(latest(), 0)),
       kErr,
       {},
       2},
      {"non-finite costs nothing",
       plain().checkpoint(40, kNan),
       launch_of(with_lost(latest(), 0)),
       kRestored,
       {{1, 30}}},
      {"iteration",
       plain(),
       launch_of(iteration(20)),
       kRestored,
       {{1, 20}},
       0,
       {"iteration 20 was named", "set run.id"}},
      {"iteration, missing, nearest first",
       plain(),
       launch_of(iteration(19)),
       kErr,
       {},
       2,
       {"20, 10 and 30"}},
      {"iteration 0 is a number like any other",
       plain(),
       launch_of(iteration(0)),
       kErr,
       {},
       2,
       {"iteration 0", "10, 20 and 30"}},
      {"iteration 0 that is there",
       StoreBuilder().attempt("a", {}).checkpoint(0),
       launch_of(iteration(0)),
       kRestored,
       {{1, 0}}},
      {"iteration in the newest lineage",
       branched(),
       launch_of(iteration(10)),
       kRestored,
       {{1, 10}}},
      {"iteration that only the abandoned future has",
       branched(),
       launch_of(iteration(30)),
       kErr,
       {},
       2,
       {"1@30", "restore: 1@30"}},
      {"iteration of another attempt",
       branched(),
       launch_of(iteration(30, 1)),
       kRestored,
       {{1, 30}}},
      {"iteration, damaged, never replaced",
       plain().checkpoint(40, kBad),
       launch_of(iteration(40)),
       kErr,
       {},
       2,
       {"1@40 is damaged", "planted"}},
      {"iteration, not finite, was named",
       plain().checkpoint(40, kNan),
       launch_of(iteration(40)),
       kRestored,
       {{1, 40}},
       0,
       {"not finite"}},
      {"iteration, no store", absent(), launch_of(iteration(5)), kErr, {}, 2, {"iteration 5"}},
      {"finished",
       plain(),
       launch_of(latest(), "", 30),
       DecisionKind::kFinished,
       {{1, 30}},
       0,
       {"run.max_iterations 30"}},
      {"one to go", plain(), launch_of(latest(), "", 31), kRestored, {{1, 30}}},
      {"nothing to train from the start",
       absent(),
       launch_of({}, "", 0),
       DecisionKind::kFinished,
       {}},
  };
}

TEST(Rule, FollowsTheDecisionTable) {
  for (const auto& row : request_rows())
    check(row);
}

TEST(Rule, AsksForACheckpointBeforeItJudgesIt) {
  StoreView store = plain();
  for (auto& checkpoint : store.checkpoints)
    checkpoint.examined.reset();
  EXPECT_EQ(rule(store, launch_of(latest())).examine, (Chosen{{1, 30}}));
  EXPECT_EQ(rule(store, launch_of(iteration(10))).examine, (Chosen{{1, 10}}));
  EXPECT_FALSE(rule(store, launch_of(fresh())).examine);
  EXPECT_FALSE(rule(store, launch_of(Request{})).examine);
}

TEST(Rule, AnIterationAsHighAsTheChosenOneIsNotNamed) {
  const auto record = rule(plain().attempt("b", iteration(20), CheckpointId{1, 20}).checkpoint(30),
                           launch_of(latest()))
                          .record;
  EXPECT_THAT(all_text(record), HasSubstr("is 2@30"));
  EXPECT_THAT(all_text(record), Not(HasSubstr("higher")));
}

TEST(Rule, WhereAllIsInOneLineageNoOtherIsSpokenOf) {
  EXPECT_THAT(all_text(rule(plain(), launch_of({})).record), Not(HasSubstr("other lineages")));
}

TEST(Rule, FreshInASlurmRestartWithoutAStoreIsAMissingFileSystem) {
  auto launch = launch_of(automatic(), "slurm-7");
  launch.run.restart_count = 1;
  const auto ruling = rule(StoreView{}, launch);
  EXPECT_EQ(ruling.record.exit_code, 3);
  EXPECT_THAT(*ruling.record.error, HasSubstr("mkdir /store"));
  EXPECT_EQ(rule(StoreBuilder(), launch).record.exit_code, 0) << "an empty folder is a first start";
}

TEST(Rule, InASlurmRestartWithoutAStoreEveryRequestIsToBeTriedAgain) {
  auto from = iteration(1200);
  from.from = "/elsewhere";
  SourceView elsewhere;
  elsewhere.path = "/elsewhere";
  elsewhere.store = StoreBuilder().attempt("a", {}).checkpoint(10);
  StoreView no_parent;
  no_parent.can_be_made = false;
  struct {
    Request request;
    int exit_code;        // in a restart
    int exit_code_first;  // else
    int no_parent_first;  // else, where the store's folder can't be made either
  } const rows[] = {
      {Request{}, 3, 0, 2},
      {fresh(), 3, 0, 2},
      {automatic(), 3, 0, 2},
      {latest(), 3, 2, 2},
      {iteration(1200), 3, 2, 2},
      {iteration(1200, 3), 3, 2, 2},
      {of_attempt(latest(), 3), 3, 2, 2},
      // What is wrong with these is not the own store's folder.
      {request_of(RestoreMode::kBest), 2, 2, 2},  // with no checkpoint.keep_best
      {from, 2, 2, 2},                            // which does not hold that iteration
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(canonical_json(row.request));
    auto launch = launch_of(row.request, "slurm-7");
    const auto code_of = [&](const StoreView& store) {
      return rule(store, launch, row.request.from ? &elsewhere : nullptr).record.exit_code;
    };
    EXPECT_EQ(code_of(StoreView{}), row.exit_code_first);
    EXPECT_EQ(code_of(no_parent), row.no_parent_first);
    launch.run.restart_count = 1;
    EXPECT_EQ(code_of(StoreView{}), row.exit_code);
    EXPECT_EQ(code_of(no_parent), row.exit_code);
  }
  auto launch = launch_of(latest(), "slurm-7");
  launch.run.restart_count = 1;
  EXPECT_EQ(rule(StoreBuilder(), launch).record.exit_code, 2) << "an empty folder is no such store";
}

TEST(Rule, FreshWhereTheStoreCannotBeMadeIsAnError) {
  StoreView nowhere;
  nowhere.can_be_made = false;
  auto launch = launch_of(automatic(), "slurm-7");
  const auto ruling = rule(nowhere, launch);
  EXPECT_EQ(ruling.record.exit_code, 2);
  EXPECT_THAT(*ruling.record.error, HasSubstr("/store is to be made is not there"));
  launch.run.restart_count = 1;
  EXPECT_EQ(rule(nowhere, launch).record.exit_code, 3);
}

TEST(Rule, AnEvaluationOfNothingIsAnErrorUnlessItIsAskedFor) {
  StoreView empty;
  auto launch = launch_of(Request{});
  launch.evaluates = true;
  for (const auto& request : {Request{}, automatic()}) {
    launch.request = request;
    const auto record = rule(empty, launch).record;
    EXPECT_EQ(record.exit_code, 2);
    EXPECT_THAT(all_text(record), HasSubstr("nothing to evaluate"));
  }
  launch.request = fresh();
  EXPECT_EQ(rule(empty, launch).record.kind, DecisionKind::kFresh);
  launch.request = automatic();
  launch.evaluates = false;
  EXPECT_EQ(rule(empty, launch).record.kind, DecisionKind::kFresh);
}

TEST(Rule, SaysWhatTheNextLaunchWillDo) {
  const auto said = [](const Request& request, const std::function<void(LaunchFacts&)>& change) {
    auto launch = launch_of(request, "r");
    change(launch);
    return all_text(rule(plain(), launch).record);
  };
  const auto slurm = [](LaunchFacts& launch) {
    launch.run.from_slurm = true;
    launch.run.job = "77";
  };
  EXPECT_THAT(said(fresh(), [](auto& launch) { launch.run.stable = false; }),
              HasSubstr("the next launch will do this again; set run.id to carry on"));
  EXPECT_THAT(said(always(fresh()), [](auto&) {}), HasSubstr("write restore: latest to carry on"));
  EXPECT_THAT(said(fresh(), slurm), HasSubstr("a requeue of job 77 carries on; the same command"));
  EXPECT_THAT(said(latest(), slurm), Not(HasSubstr("requeue")));
  EXPECT_THAT(said(latest(), [](auto& launch) { launch.request_is_set = true; }),
              HasSubstr("a requeue without it has what the file says"));
  EXPECT_THAT(said(fresh(), [](auto&) {}), Not(HasSubstr("next launch")));
  EXPECT_THAT(said(fresh(),
                   [](auto& launch) {
                     launch.run.stable = false;
                     launch.evaluates = true;
                   }),
              Not(HasSubstr("next launch")));
}

}  // namespace
}  // namespace lockstep
