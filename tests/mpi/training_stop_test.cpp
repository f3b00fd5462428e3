// How training is stopped: signals, requests, the deadline.

#include <csignal>
#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/training_fixture.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NotedSave;
using testing::ToyTask;
using testing::TrainingLoop;

TEST_F(TrainingLoop, ASignalOnOneRankStopsAllAtTheSameIteration) {
  signal_at(7);
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_EQ(result.iteration, 7);
  EXPECT_EQ(result.last_saved, 7);
  EXPECT_THAT(saved, ElementsAre(5, 7));
  EXPECT_THAT(last_request.metrics, IsEmpty());
  EXPECT_THAT(result.message, HasSubstr("USR1 on rank " + std::to_string(last_rank())));
}

TEST_F(TrainingLoop, ASignalBeforeTheFirstIterationSavesNothing) {
  callbacks.stop_signal = [this] { return is_last() ? SIGTERM : 0; };
  const auto result = run({.iteration = 3, .position = 30});
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_EQ(result.iteration, 3);
  EXPECT_FALSE(result.last_saved);
  EXPECT_THAT(saved, IsEmpty());
  EXPECT_THAT(task.met, IsEmpty());
}

TEST_F(TrainingLoop, ASignalDuringTheEvaluationEndsIt) {
  config.evaluate.interval = 3;
  callbacks.stop_signal = [this] { return signalled ? SIGUSR2 : 0; };
  task.before_train = [this] { calls += 1; };
  // One rank's evaluation of iteration 3 is long enough for several ticks.
  config.run.max_iterations = 100;
  ToyTask large({{"w", {2, 2}}}, 4000);
  large.before_evaluate = [this] { signalled = is_last(); };
  state.emplace(large, config.optimizer, 1, share());
  const auto result = train(comm, {config, large, *state, log, board}, {}, callbacks);
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_EQ(result.iteration, 3);
  EXPECT_THAT(saved, ElementsAre(3));
  EXPECT_THAT(last_request.metrics, IsEmpty());
}

TEST_F(TrainingLoop, AskedToStopItIsStoppedNotPreempted) {
  callbacks.stop_requested = [this] {
    EXPECT_TRUE(comm.is_root());
    return ++calls == 5;  // the first call comes before the first iteration
  };
  callbacks.stop_signal = [this] { return calls >= 5 ? SIGTERM : 0; };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kStopped);
  EXPECT_EQ(result.iteration, 4);
  EXPECT_THAT(saved, ElementsAre(4));
}

TEST_F(TrainingLoop, AStopsSaveIsDroppedWhenTheGraceTimeEnds) {
  config.preempt.grace_seconds = 0;  // none left for a second attempt
  signal_at(7);
  fail_save = [this] {
    if (saved.size() >= 2) io_failure();
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_EQ(result.last_saved, 5);
  EXPECT_THAT(saved, ElementsAre(5, 7));
  EXPECT_THAT(result.message, HasSubstr("iterations after 5 up to 7 are lost"));
}

// Rank 0's clock: `left` is what it shows in turn, and the last of it for ever.
std::function<double()> shows(std::deque<double> left) {
  return [left]() mutable {
    const double now = left.front();
    if (left.size() > 1) left.pop_front();
    return now;
  };
}

TEST_F(TrainingLoop, TheDeadlineStopsAllInTimeToSave) {
  // At the start, before the first iteration, and after the first, second and third.
  if (comm.is_root()) callbacks.seconds_left = shows({3600, 3600, 3600, 100, 14.9});
  callbacks.expected_save_seconds = 5;
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_EQ(result.iteration, 3);
  EXPECT_THAT(saved, ElementsAre(3));
  EXPECT_THAT(result.message, HasSubstr("the deadline is near: iteration 3 is saved"));
}

TEST_F(TrainingLoop, WhatASaveTakesIsMeasuredAndThenCounts) {
  if (comm.is_root()) callbacks.seconds_left = shows({3600, 15});
  callbacks.expected_save_seconds = 1;  // 11 s would be enough
  config.checkpoint.interval = 1;
  EXPECT_EQ(run().end, TrainingEnd::kFinished);
  saved.clear();
  callbacks.expected_save_seconds = 6;
  const auto result = run();
  EXPECT_EQ(result.iteration, 0) << "16 s are needed";
  EXPECT_THAT(saved, IsEmpty());
}

TEST_F(TrainingLoop, ASaveThatRunsOutOfTimeIsDroppedByAll) {
  signal_at(2);
  config.preempt.grace_seconds = 1;
  std::int64_t asked = 0;
  callbacks.save = [&](const SaveRequest&) {
    auto save = std::make_unique<NotedSave>();
    save->on_finish = [&](const std::function<bool()>& time_is_over) {
      agree(comm, "save", [&] {
        if (!is_last()) return;
        while (!time_is_over())  // as a slow disk
          ++asked;
        throw Error(ErrorCode::kIo, "no time is left");
      });
    };
    return save;
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_THAT(result.message, HasSubstr("no time is left to save; iterations after the start up to "
                                        "2 are lost"));
  EXPECT_EQ(asked > 0, is_last());
}

TEST_F(TrainingLoop, NoticeOfNothingStillBeginsTheSave) {
  signal_at(2);
  config.preempt.grace_seconds = 0;
  callbacks.save = [&](const SaveRequest& request) {
    auto save = std::make_unique<NotedSave>();
    save->on_finish = [&, iteration = request.iteration](const auto& time_is_over) {
      EXPECT_FALSE(time_is_over);
      saved.push_back(iteration);
    };
    return save;
  };
  EXPECT_EQ(run().last_saved, 2);
}

}  // namespace
}  // namespace lockstep
