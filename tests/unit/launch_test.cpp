#include "coordinator/launch.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_builder.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using lockstep::testing::automatic;
using lockstep::testing::FaultFileSystem;
using lockstep::testing::fresh;
using lockstep::testing::latest;
using lockstep::testing::launch_of;
using lockstep::testing::Op;
using lockstep::testing::StoreOnDisk;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Time that passes only when somebody waits; what happens meanwhile is the test's.
struct FakeTime {
  double now_s = 0;
  std::function<void()> meanwhile = [] {};

  Clock clock() {
    return {[this] { return now_s; },
            [this](double seconds) {
              now_s += seconds;
              meanwhile();
            }};
  }
};

LaunchFacts facts(const StoreOnDisk& disk, const Request& request,
                  const std::string& run = "mine") {
  auto launch = launch_of(request, run);
  launch.store_path = disk.path();
  return launch;
}

Decided try_it(StoreOnDisk& disk, const LaunchFacts& launch, FakeTime& time,
               const LookOptions& options = {}) {
  return look_and_try(disk.files(), launch, time.clock(), options, [](const std::string&) {});
}

void beat(StoreOnDisk& disk, std::int64_t attempt, std::int64_t counter) {
  disk.files().overwrite(attempt_path(disk.path(), attempt) + "/heartbeat",
                         encode(Heartbeat{counter, 0, std::nullopt}));
}

TEST(Launch, ATrialWritesNothing) {
  StoreOnDisk disk("launch");
  FakeTime time;
  EXPECT_EQ(try_it(disk, facts(disk, automatic()), time).ruling.record.kind, DecisionKind::kFresh);
  EXPECT_FALSE(fs::exists(disk.path()));
  disk.attempt("a");
  disk.checkpoint({1, 10});
  const auto before = disk.content();
  const auto record = try_it(disk, facts(disk, latest()), time).ruling.record;
  EXPECT_EQ(record.parent->checkpoint, (CheckpointId{1, 10}));
  EXPECT_EQ(record.attempt, 2);
  EXPECT_EQ(disk.content(), before);
  EXPECT_EQ(time.now_s, 0) << "nothing to wait for";
}

TEST(Launch, ClaimsTheNextNumberAndDecidesByWhatIsThereThen) {
  StoreOnDisk disk("launch");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  FakeTime time;
  const auto launch = facts(disk, latest());
  const auto trial = try_it(disk, launch, time);
  disk.checkpoint({1, 20});  // a sleeper's commit between the trial and the claim must be seen
  const auto claimed = claim_next(disk.files(), launch, trial.store.highest_attempt() + 1,
                                  StoreOnDisk::claim_of("mine"));
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->attempt, 2);
  const auto decided = decide_claimed(disk.files(), launch, claimed->attempt);
  EXPECT_EQ(decided.ruling.record.parent->checkpoint, (CheckpointId{1, 20}));
  const auto on_disk = scan_store(disk.files(), disk.path());
  ASSERT_TRUE(on_disk.attempt(2)->decision);
  EXPECT_EQ(to_json(*on_disk.attempt(2)->decision), to_json(decided.ruling.record));
}

TEST(Launch, ANumberThatIsTakenMeansLookAgain) {
  StoreOnDisk disk("launch");
  FakeTime time;
  const auto launch = facts(disk, automatic());
  const auto trial = try_it(disk, launch, time);
  disk.attempt("other");
  EXPECT_FALSE(claim_next(disk.files(), launch, trial.store.highest_attempt() + 1,
                          StoreOnDisk::claim_of("mine")));
}

TEST(Launch, WhateverBearsAnAttemptsNameHasTakenItsNumber) {
  StoreOnDisk disk("launch");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  fs::create_symlink("0001", attempts_path(disk.path()) + "/0002");
  disk.files().overwrite(attempts_path(disk.path()) + "/0003", "a file");
  FakeTime time;
  EXPECT_EQ(try_it(disk, facts(disk, latest()), time).ruling.record.attempt, 4);
  EXPECT_EQ(time.now_s, 0) << "nobody is at work there";
}

TEST(Launch, AHigherNumberAfterTheClaimIsSuperseded) {
  StoreOnDisk disk("launch");
  disk.attempt("mine");
  disk.attempt("other");
  try {
    decide_claimed(disk.files(), facts(disk, fresh()), 1);
    FAIL() << "expected kSuperseded";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kSuperseded);
  }
}

TEST(Launch, TheStoresParentIsNeverMade) {
  StoreOnDisk disk("launch");
  auto launch = facts(disk, fresh());
  launch.store_path = disk.path() + "/a/b";
  try {
    claim_next(disk.files(), launch, 1, StoreOnDisk::claim_of("mine"));
    FAIL() << "expected kNotFound";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(disk.path() + "/a is not there"));
  }
  EXPECT_FALSE(fs::exists(disk.path()));
}

TEST(Launch, DamageFoundByTheLoadLeadsToTheNextCandidateOnDisk) {
  StoreOnDisk disk("launch");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  const auto launch = facts(disk, latest());
  const auto claimed = claim_next(disk.files(), launch, 2, StoreOnDisk::claim_of("mine"));
  auto decided = decide_claimed(disk.files(), launch, claimed->attempt);
  decided =
      decide_again(disk.files(), launch, claimed->attempt, std::move(decided), "shard 1: checksum");
  const auto& record = decided.ruling.record;
  EXPECT_EQ(record.parent->checkpoint, (CheckpointId{1, 10}));
  ASSERT_EQ(record.rejected.size(), 1U);
  EXPECT_EQ(record.rejected[0].why, "shard 1: checksum");
  EXPECT_EQ(scan_store(disk.files(), disk.path()).attempt(2)->decision->parent->checkpoint,
            (CheckpointId{1, 10}));
}

TEST(Launch, ASilentHeartbeatIsDeadAfterThreePeriodsByTheReadersOwnClock) {
  StoreOnDisk disk("launch");
  disk.attempt("other", {}, std::nullopt);
  FakeTime time;
  EXPECT_EQ(try_it(disk, facts(disk, fresh()), time).ruling.record.kind, DecisionKind::kFresh);
  EXPECT_EQ(time.now_s, 3) << "its heartbeat's period is 1 s";
}

TEST(Launch, WithoutAReadableClaimTheReadersOwnPeriodCounts) {
  StoreOnDisk disk("launch");
  disk.attempt("other", {}, std::nullopt);
  std::filesystem::resize_file(attempt_path(disk.path(), 1) + "/claim.json", 7);
  auto launch = facts(disk, fresh());
  launch.heartbeat_seconds = 0.5;
  FakeTime time;
  try_it(disk, launch, time);
  EXPECT_EQ(time.now_s, 1.5);
}

TEST(Launch, AHeartbeatThatCanNotBeReadIsNeitherLifeNorDeath) {
  StoreOnDisk disk("launch");
  disk.attempt("other", {}, std::nullopt);
  beat(disk, 1, 1);
  const auto watch_it = [&](FileSystem& files) {
    FakeTime time;
    const auto view = scan_store(disk.files(), disk.path());
    return watch(files, disk.path(), *view.attempt(1), time.clock());
  };
  FaultFileSystem once(disk.files());
  once.fail_next(Op::kOpen);
  EXPECT_EQ(watch_it(once), Life::kDead) << "what is there at last is no change";
  FaultFileSystem always(disk.files());
  always.fail_when(Op::kOpen, "heartbeat");
  try {
    watch_it(always);
    FAIL() << "expected kIo";
  } catch (const Error& e) {
    EXPECT_EQ(exit_code(e.code()), 3);
  }
}

TEST(Launch, AnotherRunThatIsAliveIsInUse) {
  StoreOnDisk disk("launch");
  disk.attempt("other", {}, std::nullopt);
  FakeTime time;
  time.meanwhile = [&] { beat(disk, 1, static_cast<std::int64_t>(time.now_s) + 1); };
  try {
    try_it(disk, facts(disk, fresh()), time);
    FAIL() << "expected kInUse";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInUse);
    EXPECT_EQ(exit_code(e.code()), 2);
    EXPECT_THAT(e.what(), HasSubstr("run other, host elsewhere"));
  }
  EXPECT_EQ(time.now_s, 1) << "the first change is life";
  LookOptions options;
  options.ignore_running = true;
  EXPECT_EQ(try_it(disk, facts(disk, fresh()), time, options).ruling.record.kind,
            DecisionKind::kFresh);
}

TEST(Launch, TheSameRunWaitsForItsOwnEnd) {
  StoreOnDisk disk("launch");
  disk.attempt("mine", {}, std::nullopt);
  FakeTime time;
  time.meanwhile = [&] {
    beat(disk, 1, static_cast<std::int64_t>(time.now_s) + 1);
    if (time.now_s > 20)
      write_outcome(disk.files(), disk.path(), 1, {OutcomeKind::kPreempted, 75, {}, {}, {}});
  };
  EXPECT_EQ(try_it(disk, facts(disk, fresh()), time).ruling.record.kind, DecisionKind::kFresh);
  EXPECT_GT(time.now_s, 20);
  EXPECT_LT(time.now_s, 25);
}

TEST(Launch, TheSameRunStillAliveAfterItsStallLimitIsExit3) {
  StoreOnDisk disk("launch");
  disk.attempt("mine", {}, std::nullopt);
  FakeTime time;
  time.meanwhile = [&] { beat(disk, 1, static_cast<std::int64_t>(time.now_s) + 1); };
  try {
    try_it(disk, facts(disk, fresh()), time);
    FAIL() << "expected kOwnRunAlive";
  } catch (const Error& e) {
    EXPECT_EQ(exit_code(e.code()), 3);
  }
  EXPECT_GE(time.now_s, 303) << "stall_seconds + 3 heartbeats";
  EXPECT_LT(time.now_s, 310);
}

TEST(Launch, AnEarlierLaunchOfTheSameSlurmJobIsTakenOverAfterItsGraceTime) {
  StoreOnDisk disk("launch");
  auto claim = StoreOnDisk::claim_of("slurm-7");
  claim.job = "7";
  claim.store_id = make_store(disk.files(), disk.path());
  claim.grace_seconds = 10;
  claim_attempt(disk.files(), disk.path(), 1, claim);
  FakeTime time;
  time.meanwhile = [&] { beat(disk, 1, static_cast<std::int64_t>(time.now_s) + 1); };
  auto launch = facts(disk, fresh(), "slurm-7");
  launch.run = {"slurm-7", true, true, "7", 1};
  EXPECT_EQ(try_it(disk, launch, time).ruling.record.kind, DecisionKind::kFresh);
  EXPECT_GE(time.now_s, 13);
  EXPECT_LT(time.now_s, 16);
  launch.run.restart_count = 0;
  EXPECT_THROW(try_it(disk, launch, time), Error) << "the same count is no later launch";
}

TEST(JudgeLife, GoneHereIsDeadAtOnceAndThereIsNotYetAlive) {
  const std::optional<Heartbeat> beat = Heartbeat{1, 0, {}};
  const std::optional<Heartbeat> next = Heartbeat{2, 0, {}};
  EXPECT_EQ(judge_life(LocalSight::kGone, {}), Life::kDead);
  EXPECT_EQ(judge_life(LocalSight::kThere, {beat}), Life::kUnsure);
  EXPECT_EQ(judge_life(LocalSight::kThere, {beat, beat, beat, beat}), Life::kDead)
      << "a stopped process is no writer; lineage fences it";
  EXPECT_EQ(judge_life(LocalSight::kElsewhere, {beat, beat, beat}), Life::kUnsure);
  EXPECT_EQ(judge_life(LocalSight::kElsewhere, {beat, beat, next}), Life::kAlive);
  EXPECT_EQ(judge_life(LocalSight::kElsewhere, {std::nullopt, beat}), Life::kAlive);
  EXPECT_EQ(judge_life(LocalSight::kElsewhere, {beat, std::nullopt, std::nullopt, std::nullopt}),
            Life::kDead);
}

TEST(LookFor, SeesThisProcessAndNotOneThatHasEnded) {
  auto process = this_process();
  EXPECT_EQ(look_for(process), LocalSight::kThere);
  ++process.start_time;
  EXPECT_EQ(look_for(process), LocalSight::kGone) << "the number was given to another process";
  process = this_process();
  process.boot_id = "before the reboot";
  EXPECT_EQ(look_for(process), LocalSight::kElsewhere);
}

TEST(IdentifyRun, TakesTheFirstThatIsGiven) {
  std::map<std::string, std::string> set;
  const auto environment = [&](const std::string& name) -> std::optional<std::string> {
    const auto it = set.find(name);
    return it != set.end() ? std::optional(it->second) : std::nullopt;
  };
  EXPECT_FALSE(identify_run({}, environment, "g").stable);
  EXPECT_EQ(identify_run({}, environment, "g").id, "g");
  set["SLURM_JOB_ID"] = "7";
  EXPECT_EQ(identify_run({}, environment, "g").id, "slurm-7");
  EXPECT_EQ(identify_run({}, environment, "g").restart_count, 0);
  set["SLURM_ARRAY_JOB_ID"] = "5";
  set["SLURM_ARRAY_TASK_ID"] = "3";
  set["SLURM_RESTART_COUNT"] = "2";
  EXPECT_EQ(identify_run({}, environment, "g").id, "slurm-5_3");
  EXPECT_EQ(identify_run({}, environment, "g").restart_count, 2);
  set["LOCKSTEP_RUN_ID"] = "chain";
  EXPECT_EQ(identify_run({}, environment, "g").id, "chain");
  EXPECT_EQ(identify_run({}, environment, "g").job, "5_3") << "every launch of the job records it";
  EXPECT_EQ(identify_run("mine", environment, "g").id, "mine");
  set["SLURM_RESTART_COUNT"] = "two";
  EXPECT_THROW(identify_run("mine", environment, "g"), Error);
}

// A network file system whose listings of checkpoints/ are old until a scratch name was made there,
// or until `fresh_at_s`.
class StaleFileSystem : public FaultFileSystem {
 public:
  StaleFileSystem(FileSystem& inner, std::string hidden)
      : FaultFileSystem(inner), hidden_(hidden) {}

  bool is_network(const std::string&) const override { return true; }
  void make_folder(const std::string& path) override {
    FaultFileSystem::make_folder(path);
    if (path.find("/checkpoints/.scratch-") != path.npos && scratch_helps) hidden_.clear();
    ++scratch_names;
  }
  std::vector<Entry> list(const std::string& folder) const override {
    auto entries = FaultFileSystem::list(folder);
    std::erase_if(entries, [&](const Entry& e) { return e.name == hidden_; });
    return entries;
  }
  void show() { hidden_.clear(); }

  bool scratch_helps = true;
  int scratch_names = 0;

 private:
  std::string hidden_;
};

// Attempt 1 has committed 10 and 20, and says so.
void committed_twenty(StoreOnDisk& disk) {
  disk.attempt("a", {}, {});
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  write_outcome(disk.files(), disk.path(), 1, {OutcomeKind::kPreempted, 75, 20, {}, {}});
}

TEST(NetworkListing, AScratchNameMakesTheListingThatDecidesFresh) {
  StoreOnDisk disk("launch");
  committed_twenty(disk);
  StaleFileSystem stale(disk.files(), checkpoint_folder({1, 20}));
  FakeTime time;
  disk.attempt("mine", {}, {});
  const auto decided = decide_claimed(stale, facts(disk, latest()), 2, time.clock());
  EXPECT_EQ(decided.ruling.record.parent->checkpoint, (CheckpointId{1, 20}));
  EXPECT_EQ(time.now_s, 0);
  EXPECT_EQ(stale.scratch_names, 2) << "in attempts/ and in checkpoints/";
}

TEST(NetworkListing, OneThatLacksTheLastCommitIsRepeatedForAMinuteThenItIsDamage) {
  StoreOnDisk disk("launch");
  committed_twenty(disk);
  StaleFileSystem stale(disk.files(), checkpoint_folder({1, 20}));
  stale.scratch_helps = false;
  FakeTime time;
  time.meanwhile = [&] {
    if (time.now_s >= 30) stale.show();
  };
  const auto quiet = [](const std::string&) {};
  auto trial = look_and_try(stale, facts(disk, latest()), time.clock(), {}, quiet);
  EXPECT_EQ(trial.ruling.record.parent->checkpoint, (CheckpointId{1, 20}));
  EXPECT_EQ(time.now_s, 30);
  EXPECT_EQ(stale.scratch_names, 0) << "a trial writes nothing";

  StaleFileSystem lost(disk.files(), checkpoint_folder({1, 20}));
  lost.scratch_helps = false;
  time.meanwhile = [] {};
  trial = look_and_try(lost, facts(disk, latest()), time.clock(), {}, quiet);
  EXPECT_EQ(time.now_s, 90);
  EXPECT_EQ(trial.ruling.record.parent->checkpoint, (CheckpointId{1, 10}));
  EXPECT_THAT(trial.ruling.record.rejected.at(0).why, HasSubstr("gone, though its attempt says"));
}

TEST(Launch, ALastCommitThatIsGoneIsDamageAtOnceOnALocalFileSystem) {
  StoreOnDisk disk("launch");
  committed_twenty(disk);
  fs::remove_all(checkpoint_path(disk.path(), {1, 20}));
  FakeTime time;
  auto request = latest();
  request.max_lost_iterations = 5;
  EXPECT_EQ(try_it(disk, facts(disk, request), time).ruling.record.exit_code, 2);
  request.max_lost_iterations = 10;
  EXPECT_EQ(try_it(disk, facts(disk, request), time).ruling.record.parent->checkpoint,
            (CheckpointId{1, 10}));
  EXPECT_EQ(time.now_s, 0);
  // It may have committed since its record was read, and deleted what was its last then.
  disk.checkpoint({1, 30});
  request.max_lost_iterations = 0;
  auto onward = try_it(disk, facts(disk, request), time).ruling.record;
  EXPECT_EQ(onward.parent->checkpoint, (CheckpointId{1, 30}));
  EXPECT_TRUE(onward.rejected.empty());
  const auto seen = scan_store(disk.files(), disk.path());
  EXPECT_EQ(seen.checkpoint({1, 20}), nullptr) << "deleted, not lost";
  fs::remove_all(checkpoint_path(disk.path(), {1, 30}));
  // What an earlier attempt committed last may have been deleted by a later one.
  disk.attempt("b", CheckpointId{1, 10});
  disk.checkpoint({2, 15});
  const auto record = try_it(disk, facts(disk, latest()), time).ruling.record;
  EXPECT_EQ(record.parent->checkpoint, (CheckpointId{2, 15}));
  EXPECT_TRUE(record.rejected.empty());
}

}  // namespace
}  // namespace lockstep
