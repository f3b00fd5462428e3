// Saves beside training: what the loop makes of a save that takes its time, or fails on the way.

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/training_fixture.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::TrainingLoop;

// What became of the saves on this rank, in order: "5 begun", "5 through" ...
using Events = std::vector<std::string>;

// A save that one rank works at until it was asked so often; then it may fail there.
struct SlowSave : PendingSave {
  SlowSave(std::int64_t iteration_in, const Comm& comm_in, Events& events_in)
      : iteration(iteration_in), comm(comm_in), events(events_in) {
    note("begun");
  }
  ~SlowSave() override { note("gone"); }
  void note(const std::string& what) const {
    events.push_back(std::to_string(iteration) + " " + what);
  }

  void await_snapshot() override {
    if (on_await) on_await();
  }
  bool under_way() const override {
    if (left > 0 && !given_up) --left;
    return left > 0 && !given_up;
  }
  void rest() override {
    if (on_rest) on_rest();
  }
  bool failed() const override { return fails; }
  void give_up() override {
    if (!given_up) note("given up");
    given_up = true;
  }
  bool advance() override {
    settle();
    if (++steps < 2) return false;
    note("through");
    return true;
  }
  void finish(const std::function<bool()>&) override {
    note("waited for");
    settle();
  }
  void settle() const {
    agree(comm, "write shards", [&] {
      if (fails) throw Error(ErrorCode::kIo, "no space");
    });
  }

  const std::int64_t iteration;
  const Comm& comm;
  Events& events;
  mutable int left = 0;  // this rank
  bool fails = false;    // this rank
  bool given_up = false;
  int steps = 0;
  std::function<void()> on_await;
  std::function<void()> on_rest;
};

class TrainingSaves : public TrainingLoop {
 protected:
  TrainingSaves() {
    config.run.max_iterations = 20;
    callbacks.save = [this](const SaveRequest& request) {
      EXPECT_EQ(request.beside_training, request.iteration != last) << request.iteration;
      auto save = std::make_unique<SlowSave>(request.iteration, comm, events);
      if (plan) plan(*save);
      return save;
    };
  }

  Events events;
  std::int64_t last = 20;
  std::function<void(SlowSave&)> plan;
};

TEST_F(TrainingSaves, AreThroughWhenAllRanksAreAndTrainingHasGoneOn) {
  std::vector<std::int64_t> through_at;
  plan = [this](SlowSave& save) { save.left = is_last() ? 2 : 0; };
  std::size_t seen = 0;
  task.before_train = [&] {
    ++calls;  // the iteration that begins
    for (; seen < events.size(); ++seen)
      if (events[seen].ends_with("through")) through_at.push_back(calls - 1);
  };
  EXPECT_EQ(run().last_saved, 20);
  EXPECT_THAT(events, ElementsAre("5 begun", "5 through", "5 gone", "10 begun", "10 through",
                                  "10 gone", "15 begun", "15 through", "15 gone", "20 begun",
                                  "20 waited for", "20 gone"));
  EXPECT_THAT(through_at, ElementsAre(8, 13, 18));
}

TEST_F(TrainingSaves, OneThatIsDueMeanwhileWaits) {
  plan = [this](SlowSave& save) {
    if (is_last() && save.iteration == 5) save.left = 100;
  };
  config.run.max_iterations = last = 12;
  run();
  EXPECT_THAT(events, ElementsAre("5 begun", "5 through", "5 gone", "10 begun", "10 through",
                                  "10 gone", "12 begun", "12 waited for", "12 gone"));
}

TEST_F(TrainingSaves, AStopIsHeardWhileOneWaits) {
  last = 10;  // the stop's save
  callbacks.stop_signal = [this] { return signalled ? SIGUSR1 : 0; };
  plan = [this](SlowSave& save) {
    if (save.iteration != 5 || !is_last()) return;
    save.left = 1000000;
    save.on_rest = [this] { signalled = true; };
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_EQ(result.iteration, 10);
  EXPECT_THAT(events, ElementsAre("5 begun", "5 waited for", "5 gone", "10 begun", "10 waited for",
                                  "10 gone"));
}

TEST_F(TrainingSaves, OrIsLeftOut) {
  config.checkpoint.when_busy = "skip";
  plan = [this](SlowSave& save) {
    if (is_last() && save.iteration == 5) save.left = 8;
  };
  EXPECT_EQ(run().last_saved, 20);
  EXPECT_THAT(events, ElementsAre("5 begun", "5 through", "5 gone", "15 begun", "15 through",
                                  "15 gone", "20 begun", "20 waited for", "20 gone"));
}

TEST_F(TrainingSaves, OneThatIsAskedForIsMadeWhenTheLastIsThrough) {
  config.checkpoint.when_busy = "skip";
  callbacks.save_requested = [this] { return ++calls == 7; };  // in iteration 6
  plan = [this](SlowSave& save) {
    if (is_last() && save.iteration == 5) save.left = 3;
  };
  run();
  EXPECT_THAT(Events(events.begin(), events.begin() + 4),
              ElementsAre("5 begun", "5 through", "5 gone", "9 begun"));
}

TEST_F(TrainingSaves, TheStateIsCopiedBeforeItChanges) {
  std::vector<std::vector<float>> at_begin;
  plan = [&](SlowSave& save) {
    at_begin.push_back(parameters());
    save.on_await = [&, first = true]() mutable {
      if (first) {
        EXPECT_EQ(parameters(), at_begin.back());
      } else {
        EXPECT_NE(parameters(), at_begin.back());
      }
      first = false;
    };
    save.left = 2;
  };
  config.run.max_iterations = last = 9;
  run();
  EXPECT_EQ(at_begin.size(), 2U);
}

TEST_F(TrainingSaves, ThatFailOnOneRankAreGivenUpByAllAndTrainingGoesOn) {
  plan = [this](SlowSave& save) {
    if (save.iteration != 5) return;
    save.fails = is_last();
    save.left = is_last() ? 0 : 1000;
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kFinished);
  EXPECT_EQ(result.last_saved, 20);
  EXPECT_THAT(Events(events.begin(), events.begin() + 5),
              ElementsAre("5 begun", "5 given up", "5 gone", "10 begun", "10 through"));
}

TEST_F(TrainingSaves, ThatFailTooOftenInARowEndTheRun) {
  config.run.max_iterations = 100;
  plan = [this](SlowSave& save) { save.fails = is_last(); };
  try {
    run();
    ADD_FAILURE();
  } catch (const AgreedError& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_EQ(error.rank(), last_rank());
  }
  EXPECT_EQ(std::count(events.begin(), events.end(), "15 gone"), 1);
  EXPECT_EQ(std::count(events.begin(), events.end(), "20 begun"), 0);
}

TEST_F(TrainingSaves, AStopFinishesTheOneInFlightFirst) {
  signal_at(6);
  plan = [this](SlowSave& save) { save.left = is_last() ? 100 : 0; };
  callbacks.save = [this, save = callbacks.save](const SaveRequest& request) {
    events.emplace_back(request.beside_training ? "beside" : "while all wait");
    auto slow = std::make_unique<SlowSave>(request.iteration, comm, events);
    plan(*slow);
    return slow;
  };
  const auto result = run();
  EXPECT_EQ(result.end, TrainingEnd::kPreempted);
  EXPECT_EQ(result.last_saved, 6);
  EXPECT_THAT(events, ElementsAre("beside", "5 begun", "5 waited for", "5 gone", "while all wait",
                                  "6 begun", "6 waited for", "6 gone"));
}

TEST_F(TrainingSaves, WhatIsInFlightIsNotLostWithAFailureOfTraining) {
  plan = [this](SlowSave& save) { save.left = is_last() ? 100 : 0; };
  for (const bool nonfinite : {true, false}) {
    SCOPED_TRACE(nonfinite);
    events.clear();
    state.reset();
    calls = 0;
    task.spoil = 0;
    task.before_train = [&] {
      if (!is_last() || ++calls != 7) return;
      if (!nonfinite) throw Error(ErrorCode::kDamaged, "bad sample");
      task.spoil = std::numeric_limits<double>::quiet_NaN();
    };
    if (nonfinite) {
      const auto result = run();
      EXPECT_EQ(result.end, TrainingEnd::kNonFinite);
      EXPECT_EQ(result.last_saved, 5);
    } else {
      EXPECT_THROW(run(), AgreedError);
    }
    EXPECT_THAT(events, ElementsAre("5 begun", "5 waited for", "5 gone"));
  }
}

TEST_F(TrainingSaves, WithoutAsyncTrainingWaits) {
  config.checkpoint.async = false;
  callbacks.save = [this](const SaveRequest& request) {
    EXPECT_FALSE(request.beside_training);
    return std::make_unique<SlowSave>(request.iteration, comm, events);
  };
  config.run.max_iterations = 7;
  run();
  EXPECT_THAT(events, ElementsAre("5 begun", "5 waited for", "5 gone", "7 begun", "7 waited for",
                                  "7 gone"));
}

}  // namespace
}  // namespace lockstep
