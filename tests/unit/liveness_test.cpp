#include "coordinator/liveness.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/launch_site.h"

namespace lockstep {
namespace {

using lockstep::testing::automatic;
using lockstep::testing::beat;
using lockstep::testing::error_of;
using lockstep::testing::facts;
using lockstep::testing::FakeTime;
using lockstep::testing::FaultFileSystem;
using lockstep::testing::fresh;
using lockstep::testing::Op;
using lockstep::testing::StoreOnDisk;
using lockstep::testing::try_it;
using ::testing::HasSubstr;

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

// An attempt of "mine" that is alive for 20 s, and then ends.
void end_after_20_s(StoreOnDisk& disk, FakeTime& time, OutcomeKind kind, int exit_code) {
  disk.attempt("mine", {}, std::nullopt);
  time.meanwhile = [&disk, &time, kind, exit_code] {
    beat(disk, 1, static_cast<std::int64_t>(time.now_s) + 1);
    if (time.now_s > 20) write_outcome(disk.files(), disk.path(), 1, {kind, exit_code, {}, {}, {}});
  };
}

TEST(Launch, TheSameRunWaitsForItsOwnEnd) {
  StoreOnDisk disk("launch");
  FakeTime time;
  end_after_20_s(disk, time, OutcomeKind::kPreempted, 75);
  EXPECT_EQ(try_it(disk, facts(disk, fresh()), time).ruling.record.kind, DecisionKind::kFresh);
  EXPECT_GT(time.now_s, 20);
  EXPECT_LT(time.now_s, 25);
}

TEST(Launch, WhatIsStoppedOnRequestStopsTheLaunchThatWaitsForIt) {
  StoreOnDisk disk("launch");
  FakeTime time;
  end_after_20_s(disk, time, OutcomeKind::kStopped, 77);
  EXPECT_THROW(try_it(disk, facts(disk, fresh()), time), StoppedOnRequest);
  EXPECT_EQ(try_it(disk, facts(disk, fresh()), time).ruling.record.kind, DecisionKind::kFresh)
      << "a launch after the stop is meant to go on";
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

// An attempt of "mine" on another host that beats until `dies_at_s`, with a stall limit of 3 s.
double waited_for_one_that_dies(double dies_at_s) {
  StoreOnDisk disk("launch");
  auto claim = StoreOnDisk::claim_of("mine");
  claim.store_id = make_store(disk.files(), disk.path());
  claim.stall_seconds = 3;
  claim_attempt(disk.files(), disk.path(), 1, claim);
  FakeTime time;
  time.meanwhile = [&] {
    if (time.now_s < dies_at_s) beat(disk, 1, static_cast<std::int64_t>(time.now_s) + 1);
  };
  EXPECT_EQ(try_it(disk, facts(disk, fresh()), time).ruling.record.kind, DecisionKind::kFresh);
  return time.now_s;
}

TEST(Launch, TheSameRunThatDiesWhileItIsWaitedForIsTakenOverThreePeriodsLater) {
  EXPECT_EQ(waited_for_one_that_dies(3), 5) << "the last beat is seen at 2";
  // The limit is at 7: whether it is alive then is seen only later.
  EXPECT_EQ(waited_for_one_that_dies(6.5), 9);
  EXPECT_EQ(waited_for_one_that_dies(7), 9);
}

TEST(Launch, AStoreThatGoesAwayWhileItsOwnRunIsWaitedForIsNoFirstStart) {
  StoreOnDisk disk("launch");
  disk.attempt("mine", {}, std::nullopt);
  disk.checkpoint({1, 10});
  FakeTime time;
  time.meanwhile = [&] {
    if (time.now_s < 10) beat(disk, 1, static_cast<std::int64_t>(time.now_s) + 1);
    if (time.now_s >= 10) std::filesystem::remove_all(disk.path());
  };
  EXPECT_THAT(error_of(ErrorCode::kIo, [&] { try_it(disk, facts(disk, automatic()), time); }),
              HasSubstr("went away since this launch looked at it"));
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
  for (const std::int64_t nobody : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40}) {
    process.pid = nobody;
    EXPECT_EQ(look_for(process), LocalSight::kGone) << nobody;
  }
  process.boot_id = "before the reboot";
  EXPECT_EQ(look_for(process), LocalSight::kElsewhere);
}

}  // namespace
}  // namespace lockstep
