#include "worker/training_loop.h"

#include <chrono>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/training_fixture.h"
#include "worker/mpi_collectives.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NotedSave;
using testing::ToyTask;
using testing::TrainingLoop;

TEST_F(TrainingLoop, SavesWhenDueAndAtTheEndThenFinishes) {
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kFinished);
  EXPECT_EQ(result.iteration, 12);
  EXPECT_EQ(result.last_saved, 12);
  EXPECT_THAT(saved, ElementsAre(5, 10, 12));
  EXPECT_EQ(last_request.position, 120);
  EXPECT_EQ(last_request.metrics.count("loss"), 1U);
  EXPECT_EQ(result.metrics, last_request.metrics);
  if (comm.is_root()) {
    ASSERT_EQ(progresses.size(), 12U);
    EXPECT_EQ(progresses.front().iteration, 1);
    EXPECT_EQ(progresses.front().samples, 10);
    EXPECT_LT(progresses.back().loss, progresses.front().loss);
  } else {
    EXPECT_THAT(progresses, IsEmpty());
  }
}

TEST_F(TrainingLoop, RootTellsOfEachIntervalAndOfWhatIsLeftAtTheEnd) {
  std::vector<Interval> intervals;
  std::vector<Evaluation> evaluations;
  config.metrics.interval = 5;
  config.evaluate.interval = 10;
  callbacks.on_interval = [&](const Interval& interval) { intervals.push_back(interval); };
  callbacks.on_evaluation = [&](const Evaluation& it) { evaluations.push_back(it); };
  const auto result = run();
  if (!comm.is_root()) {
    EXPECT_TRUE(intervals.empty() && evaluations.empty());
    return;
  }
  ASSERT_EQ(intervals.size(), 3U);
  std::size_t seen = 0;
  for (const auto& interval : intervals) {
    double loss = 0;
    for (std::int64_t i = 0; i < interval.iterations; ++i)
      loss += progresses.at(seen++).loss / static_cast<double>(interval.iterations);
    EXPECT_EQ(interval.iteration, progresses[seen - 1].iteration);
    EXPECT_EQ(interval.position, progresses[seen - 1].position);
    EXPECT_EQ(interval.samples, 10 * interval.iterations);
    EXPECT_NEAR(interval.loss, loss, 1e-12);
    EXPECT_GT(interval.spent.compute, 0);
    EXPECT_GT(interval.spent.communication, 0);
    EXPECT_GT(interval.spent.optimizer, 0);
  }
  EXPECT_EQ(seen, 12U);
  EXPECT_EQ(intervals[0].spent.evaluation, 0);
  EXPECT_GT(intervals[1].spent.evaluation, 0) << "the evaluation at iteration 10 counts there";
  ASSERT_EQ(evaluations.size(), 2U);
  EXPECT_EQ(evaluations[0].iteration, 10);
  EXPECT_EQ(evaluations[1].metrics, result.metrics);
}

TEST_F(TrainingLoop, TimeThatASaveHoldsTrainingCountsWhereItIsMade) {
  std::vector<Interval> intervals;
  config.metrics.interval = 5;
  callbacks.on_interval = [&](const Interval& interval) { intervals.push_back(interval); };
  callbacks.save = [&](const SaveRequest& request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(request.iteration == 10 ? 200 : 0));
    return std::make_unique<NotedSave>();
  };
  run();
  if (!comm.is_root()) return;
  ASSERT_EQ(intervals.size(), 3U);
  EXPECT_GE(intervals[1].spent.save, 0.2);
  EXPECT_LT(intervals[0].spent.save, 0.2);
  EXPECT_LT(intervals[2].spent.save, 0.2);
}

TEST_F(TrainingLoop, AStopTellsOfTheIterationsSinceTheLastInterval) {
  std::vector<std::int64_t> told;
  config.metrics.interval = 5;
  callbacks.on_interval = [&](const Interval& interval) { told.push_back(interval.iteration); };
  signal_at(7);
  EXPECT_EQ(run().end, TrainingEnd::kPreempted);
  if (comm.is_root()) {
    EXPECT_THAT(told, ElementsAre(5, 7));
  }
}

TEST_F(TrainingLoop, RanksMeetEachSampleOfTheBatchOnce) {
  config.run.max_iterations = 10;  // exactly an epoch
  run();
  std::vector<double> met(100, 0);
  for (const auto sample : task.met)
    met[static_cast<std::size_t>(sample)] += 1;
  sum_over_ranks(comm, met);
  EXPECT_EQ(met, std::vector<double>(100, 1));
}

TEST_F(TrainingLoop, AnyWorldSizeAndMicroBatchGivesTheSameModelUpToRounding) {
  for (const char* name : {"adamw", "sgd"}) {
    for (const double clip : {0.0, 0.05}) {
      config.optimizer.name = name;
      config.optimizer.momentum = 0.9;
      config.optimizer.clip_norm = clip > 0 ? std::optional(clip) : std::nullopt;
      config.data.micro_batch = clip > 0 ? std::optional<std::int64_t>(2) : std::nullopt;
      state.reset();
      run();

      MPI_Comm self = MPI_COMM_SELF;
      const Comm alone = Comm::duplicate(self);
      ToyTask same;
      TrainingState one(same, config.optimizer, 1, {.index = 0, .count = 1});
      TrainingCallbacks quiet;
      quiet.save = [](const SaveRequest&) { return std::make_unique<NotedSave>(); };
      config.data.micro_batch.reset();
      train(alone, {config, same, one, log, board}, {}, quiet);
      for (std::size_t i = 0; i < one.parameters().size(); ++i) {
        EXPECT_NEAR(state->parameters()[i], one.parameters()[i], 1e-5) << name << " " << i;
      }
    }
  }
}

TEST_F(TrainingLoop, ATaskThatCountsItsSamplesWrongIsRefusedOnAllRanks) {
  for (const auto wrong : {&ToyTask::lost_in_training, &ToyTask::lost_in_evaluation}) {
    state.reset();
    task.*wrong = is_last() ? 1 : 0;
    try {
      run();
      ADD_FAILURE() << "it was let through";
    } catch (const AgreedError& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidConfig);
      EXPECT_EQ(e.rank(), last_rank());
      EXPECT_THAT(e.what(), HasSubstr("set Sums::samples"));
    }
    task.*wrong = 0;
  }
}

TEST_F(TrainingLoop, AStateOnAnAcceleratorIsTrainedAndSavedThere) {
  config.optimizer.clip_norm = 0.05;
  run();
  const auto on_host = parameters();
  const auto saved_by_host = std::exchange(saved, {});
  const auto metrics = last_request.metrics;

  const Accelerator accelerator("cpu");
  state.emplace(task, config.optimizer, 1, share());
  state->move_to(accelerator, task);
  run();
  EXPECT_EQ(saved, saved_by_host);
  EXPECT_NEAR(last_request.metrics.at("loss"), metrics.at("loss"), 1e-6);
  for (std::size_t i = 0; i < on_host.size(); ++i)
    EXPECT_NEAR(state->parameters()[i], on_host[i], 1e-6) << i;
}

TEST_F(TrainingLoop, ParametersAndBuffersAreEqualOnEveryRank) {
  task.buffer_change = static_cast<float>(comm.rank());  // the mean over ranks is added
  run();
  for (const auto values : {state->parameters(), state->buffers()}) {
    std::vector<float> of_root(values.begin(), values.end());
    broadcast_bytes(comm, std::as_writable_bytes(std::span(of_root)));
    EXPECT_TRUE(std::equal(values.begin(), values.end(), of_root.begin()));
  }
  EXPECT_NEAR(state->buffers()[0], 12 * 0.5 * (comm.size() - 1), 1e-3);
}

TEST_F(TrainingLoop, ACutRunEqualsAStraightOneBitByBit) {
  run();
  const auto straight = parameters();
  state.reset();
  config.run.max_iterations = 7;
  EXPECT_EQ(run().iteration, 7);
  config.run.max_iterations = 12;
  EXPECT_EQ(run({.iteration = 7, .position = 70}).iteration, 12);
  EXPECT_EQ(parameters(), straight);
}

TEST_F(TrainingLoop, ASaveThatIsAskedForIsMadeOnce) {
  callbacks.save_requested = [this] { return ++calls == 4; };
  run();
  EXPECT_THAT(saved, ElementsAre(3, 5, 10, 12));
}

TEST_F(TrainingLoop, MinutesMakeSavesToo) {
  config.checkpoint.minutes = 1e-9;
  run();
  EXPECT_EQ(saved.size(), 12U);
}

TEST_F(TrainingLoop, AFailedSaveIsAWarningAndTrainingGoesOn) {
  fail_save = [this] {
    if (saved.size() == 1) io_failure();
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kFinished);
  EXPECT_THAT(saved, ElementsAre(5, 10, 12));
}

TEST_F(TrainingLoop, TooManyFailedSavesInARowEndTheRun) {
  config.run.max_iterations = 100;
  fail_save = [this] { io_failure(); };
  try {
    run();
    ADD_FAILURE();
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
  }
  EXPECT_THAT(saved, ElementsAre(5, 10, 15));
}

TEST_F(TrainingLoop, OtherFailuresOfASaveEndTheRunAtOnce) {
  fail_save = [this] {
    agree(comm, "commit", [] { throw Error(ErrorCode::kSuperseded, "by attempt 9"); });
  };
  try {
    run();
    ADD_FAILURE();
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.code(), ErrorCode::kSuperseded);
  }
  EXPECT_THAT(saved, ElementsAre(5));
}

TEST_F(TrainingLoop, TheLastSaveIsRepeated) {
  fail_save = [this] {
    if (saved.size() >= 3 && saved.size() < 6) io_failure();
  };
  EXPECT_EQ(run().last_saved, 12);
  EXPECT_THAT(saved, ElementsAre(5, 10, 12, 12, 12, 12));
}

TEST_F(TrainingLoop, ALastSaveThatNeverSucceedsIsAnError) {
  fail_save = [this] {
    if (saved.size() >= 3) io_failure();
  };
  EXPECT_THROW(run(), AgreedError);
  EXPECT_THAT(saved, ElementsAre(5, 10, 12, 12, 12, 12));
}

TEST_F(TrainingLoop, ANonFiniteLossStopsAllAndNamesTheRank) {
  task.before_train = [this] {
    if (is_last() && ++calls == 5) task.spoil = std::numeric_limits<double>::quiet_NaN();
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kNonFinite);
  EXPECT_EQ(result.iteration, 5);
  EXPECT_FALSE(result.last_saved);
  EXPECT_THAT(saved, IsEmpty());
  EXPECT_EQ(result.message, "iteration 5: loss not finite on rank " + std::to_string(last_rank()));
}

TEST_F(TrainingLoop, ANonFiniteGradientStopsAllAndNamesTheRank) {
  task.before_train = [this] {
    if (is_last() && ++calls == 2) task.spoil_gradient = std::numeric_limits<float>::infinity();
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kNonFinite);
  EXPECT_EQ(result.message,
            "iteration 2: gradients not finite on rank " + std::to_string(last_rank()));
}

TEST_F(TrainingLoop, NonFiniteGoesOnWhereAskedTo) {
  config.run.stop_on_nonfinite = false;
  task.before_train = [this] {
    task.spoil = is_last() && ++calls == 2 ? std::numeric_limits<double>::infinity() : 0;
  };
  EXPECT_EQ(run().end, TrainingEnd::kFinished);
  EXPECT_THAT(saved, ElementsAre(5, 10, 12));
}

TEST_F(TrainingLoop, AFailureOfOneRankIsEveryRanksError) {
  task.before_train = [this] {
    if (is_last() && ++calls == 3) throw Error(ErrorCode::kDamaged, "bad sample");
  };
  try {
    run();
    ADD_FAILURE();
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.rank(), last_rank());
    EXPECT_STREQ(error.what(), ("iteration 3: rank " + std::to_string(last_rank()) +
                                ": the task's train(): bad sample")
                                   .c_str());
  }
  task.before_train = nullptr;
  EXPECT_EQ(run().end, TrainingEnd::kFinished);  // the communicator still works
}

TEST_F(TrainingLoop, AFailedEvaluationIsEveryRanksError) {
  task.before_evaluate = [this] {
    if (is_last()) throw Error(ErrorCode::kDamaged, "bad sample");
  };
  EXPECT_THROW(run(), AgreedError);
  EXPECT_THAT(saved, ElementsAre(5, 10));
}

TEST_F(TrainingLoop, MoreRanksThanSamplesIsAnError) {
  config.data.global_batch = comm.size() - 1;
  EXPECT_THROW(run(), AgreedError);
}

TEST_F(TrainingLoop, AnIterationTakesAtLeastTheTasksTime) {
  task.iteration_ms = 20;
  config.run.max_iterations = 3;
  run();
  for (const auto& progress : progresses)
    EXPECT_GE(progress.seconds, 0.02);
}

TEST_F(TrainingLoop, NothingLeftToTrainFinishesAtOnce) {
  const auto result = run({.iteration = 12, .position = 120});
  EXPECT_EQ(result.end, TrainingEnd::kFinished);
  EXPECT_THAT(saved, IsEmpty());
}

}  // namespace
}  // namespace lockstep
