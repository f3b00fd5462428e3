#include "coordinator/watchdog/stall.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr StallRule kRule{.heartbeat_seconds = 1, .stall_seconds = 30, .join_seconds = 900};

TEST(StallLimit, IsTheUsersOrTwentyIterations) {
  struct Row {
    Phase phase;
    double iteration_seconds;
    double limit_s;
  };
  for (const auto& row :
       {Row{Phase::kTrain, 0.01, 30}, Row{Phase::kTrain, 1.5, 30}, Row{Phase::kTrain, 2, 40},
        Row{Phase::kSave, 2, 40}, Row{Phase::kSave, 0, 30}, Row{Phase::kLoad, 0, 30},
        Row{Phase::kRestore, 0, 30}, Row{Phase::kEvaluate, 10, 200}, Row{Phase::kTrain, 0, 900},
        Row{Phase::kPrepare, 0, 900}, Row{Phase::kEnd, 2, 900}}) {
    EXPECT_EQ(stall_limit_s(kRule, row.phase, row.iteration_seconds), row.limit_s)
        << to_text(row.phase) << " at " << row.iteration_seconds << " s an iteration";
  }
}

TEST(StallLimit, OfAFirstIterationIsNeverBelowTheUsers) {
  EXPECT_EQ(stall_limit_s({.stall_seconds = 300, .join_seconds = 60}, Phase::kPrepare, 0), 300);
}

TEST(SilenceLimit, IsTheUsersOrThreeHeartbeats) {
  EXPECT_EQ(silence_limit_s(kRule), 30);
  EXPECT_EQ(silence_limit_s({.heartbeat_seconds = 60, .stall_seconds = 30}), 180);
}

TEST(WakeInterval, IsShortEnoughForEveryLimit) {
  EXPECT_EQ(wake_interval_s({.heartbeat_seconds = 5, .stall_seconds = 300}), 1);
  EXPECT_EQ(wake_interval_s({.heartbeat_seconds = 0.1, .stall_seconds = 300}), 0.1);
  EXPECT_EQ(wake_interval_s({.heartbeat_seconds = 5, .stall_seconds = 2}), 0.25);
}

TEST(AwakeClock, CountsAtMostTwoIntervalsAWake) {
  AwakeClock clock(1);
  EXPECT_EQ(clock.wake(1000), 0);
  EXPECT_EQ(clock.wake(1001), 1);
  EXPECT_EQ(clock.wake(1002.5), 2.5);
  EXPECT_EQ(clock.wake(5000), 4.5) << "suspended";
  EXPECT_EQ(clock.wake(4999), 4.5) << "never back";
  EXPECT_EQ(clock.wake(5000), 5.5);
}

TEST(ProgressJudge, AnyChangeIsProgress) {
  const RankStanding start{.phase = Phase::kTrain, .working = false, .passed = 7, .moves = 3};
  ProgressJudge judge(0);
  judge.see(start, 10);
  EXPECT_EQ(judge.still_s(25), 15);
  judge.see(start, 20);
  EXPECT_EQ(judge.still_s(25), 15) << "seen again is not moved";
  for (auto changed : {&RankStanding::passed, &RankStanding::moves}) {
    auto next = judge.standing();
    ++(next.*changed);
    judge.see(next, 30);
    EXPECT_EQ(judge.still_s(30), 0);
  }
  auto next = judge.standing();
  next.phase = Phase::kSave;
  judge.see(next, 40);
  EXPECT_EQ(judge.still_s(41), 1);
}

TEST(ProgressBoard, ShowsWhatWasDone) {
  ProgressBoard board;
  EXPECT_EQ(board.standing(), RankStanding{});
  board.enter(Phase::kTrain);
  board.pass();
  board.move();
  EXPECT_EQ(board.standing(), (RankStanding{Phase::kTrain, false, 2, 1}));
  {
    const AtWork outer(board);
    { const AtWork inner(board); }
    EXPECT_EQ(board.standing(), (RankStanding{Phase::kTrain, true, 2, 2}));
  }
  EXPECT_EQ(board.standing(), (RankStanding{Phase::kTrain, false, 2, 3}));
  {
    const WithinPhase save(board, Phase::kSave);
    EXPECT_EQ(board.standing(), (RankStanding{Phase::kSave, false, 3, 3}));
  }
  EXPECT_EQ(board.standing(), (RankStanding{Phase::kTrain, false, 4, 3}));
}

TEST(ProgressBoard, MovesWrapIntoNothingElse) {
  ProgressBoard board;
  board.enter(Phase::kSave);
  board.set_working(true);
  for (int i = 0; i < 1 << 24; ++i)
    board.move();
  EXPECT_EQ(board.standing(), (RankStanding{Phase::kSave, true, 1, 0}));
}

}  // namespace
}  // namespace lockstep
