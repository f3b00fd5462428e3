#include "coordinator/policy.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/store_builder.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

constexpr auto kBad = CheckpointState::kDamaged;
constexpr auto kNan = CheckpointState::kNotFinite;

Request with_lost(Request request, std::int64_t most) {
  request.max_lost_iterations = most;
  return request;
}
Request of_attempt(Request request, std::int64_t attempt) {
  request.attempt = attempt;
  return request;
}
Request always(Request request) {
  request.once = false;
  return request;
}

struct Row {
  std::string name;
  StoreView store;
  LaunchFacts launch;
  DecisionKind kind;
  std::optional<CheckpointId> parent;
  int exit_code = 0;
  std::vector<std::string> facts = {};  // each must stand in the reasons or the error
};

std::string all_text(const DecisionRecord& record) {
  std::string text = record.error.value_or("");
  for (const auto& reason : record.reasons)
    text += "\n" + reason;
  return text;
}

StoreBuilder plain() {  // attempt 1 of run a: 10, 20, 30
  return StoreBuilder().attempt("a", Request{}).checkpoint(10).checkpoint(20).checkpoint(30);
}
StoreBuilder branched() {  // attempt 2 went back to 1@20 and made 25, 35
  return plain().attempt("b", iteration(20), CheckpointId{1, 20}).checkpoint(25).checkpoint(35);
}

StoreView absent() {
  return {};
}

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
      {"died between claim and decision: applied nothing",
       plain().attempt("r", iteration(10)).no_decision(),
       launch_of(iteration(10), "r"),
       kRestored,
       {{1, 10}}},
  };
}

void check(const Row& row) {
  SCOPED_TRACE(row.name);
  const auto ruling = rule(row.store, row.launch);
  ASSERT_FALSE(ruling.examine);
  const auto& record = ruling.record;
  const auto text = all_text(record);
  EXPECT_EQ(to_text(record.kind), to_text(row.kind)) << text;
  EXPECT_EQ(record.exit_code, row.exit_code);
  EXPECT_EQ(record.parent ? to_text(record.parent->checkpoint) : "none",
            row.parent ? to_text(*row.parent) : "none")
      << text;
  for (const auto& fact : row.facts)
    EXPECT_THAT(text, HasSubstr(fact));
}

TEST(Rule, FollowsTheDecisionTable) {
  for (const auto& row : request_rows())
    check(row);
}

TEST(Rule, AppliesARequestOncePerRun) {
  for (const auto& row : requeue_rows())
    check(row);
}

TEST(Rule, AsksForACheckpointBeforeItJudgesIt) {
  StoreView store = plain();
  for (auto& checkpoint : store.checkpoints)
    checkpoint.examined.reset();
  EXPECT_EQ(rule(store, launch_of(latest())).examine, (CheckpointId{1, 30}));
  EXPECT_EQ(rule(store, launch_of(iteration(10))).examine, (CheckpointId{1, 10}));
  EXPECT_FALSE(rule(store, launch_of(fresh())).examine);
  EXPECT_FALSE(rule(store, launch_of(Request{})).examine);
}

TEST(Rule, FreshInASlurmRestartWithoutAStoreIsAMissingFileSystem) {
  auto launch = launch_of(automatic(), "slurm-7");
  launch.run.restart_count = 1;
  const auto ruling = rule(StoreView{}, launch);
  EXPECT_EQ(ruling.record.exit_code, 3);
  EXPECT_THAT(*ruling.record.error, HasSubstr("mkdir /store"));
  EXPECT_EQ(rule(StoreBuilder(), launch).record.exit_code, 0) << "an empty folder is a first start";
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

TEST(Rule, MaxEpochsEndsARun) {
  auto launch = launch_of(latest());
  launch.max_iterations.reset();
  launch.max_epochs = 3;
  EXPECT_EQ(rule(plain(), launch).record.kind, DecisionKind::kFinished);  // 300 of 100 samples
  launch.max_epochs = 4;
  EXPECT_EQ(rule(plain(), launch).record.kind, DecisionKind::kRestore);
}

StoreBuilder looping() {
  auto store = plain();
  for (int i = 0; i < 3; ++i)
    store.attempt("r", latest(), CheckpointId{1, 30}).beat(30).outcome(OutcomeKind::kFailed, 3);
  return store;
}

TEST(Rule, ThreeCrashesAtTheSameStartAreALoop) {
  const auto record = rule(looping(), launch_of(latest(), "r")).record;
  EXPECT_EQ(record.exit_code, 2);
  EXPECT_THAT(*record.error, HasSubstr("n1"));
  EXPECT_THAT(*record.error, HasSubstr("1@30"));
}

TEST(Rule, ACrashLoopIsLiftedByAnyChange) {
  const auto decides = [](const LaunchFacts& launch) {
    return rule(looping(), launch).record.kind == DecisionKind::kRestore;
  };
  EXPECT_TRUE(decides(launch_of(iteration(30, 1), "r")));
  EXPECT_TRUE(decides(launch_of(latest(), "s")));
  auto launch = launch_of(latest(), "r");
  launch.hosts = {"n2"};
  EXPECT_TRUE(decides(launch));
  launch = launch_of(latest(), "r");
  launch.build = "other";
  EXPECT_TRUE(decides(launch));
  launch = launch_of(latest(), "r");
  launch.world_size = 3;
  EXPECT_TRUE(decides(launch));
  launch = launch_of(latest(), "r");
  launch.config_digest = "other";
  EXPECT_TRUE(decides(launch));
}

TEST(Rule, ProgressOrAPreemptionIsNoCrashLoop) {
  auto store = looping();
  store.beat(31);
  EXPECT_EQ(rule(store, launch_of(latest(), "r")).record.kind, DecisionKind::kRestore);
  store = looping();
  store.outcome(OutcomeKind::kPreempted, 75);
  EXPECT_EQ(rule(store, launch_of(latest(), "r")).record.kind, DecisionKind::kRestore);
}

}  // namespace
}  // namespace lockstep
