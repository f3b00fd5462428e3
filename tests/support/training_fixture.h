#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "common/agree.h"
#include "common/error.h"
#include "tests/support/toy_task.h"
#include "worker/training_loop.h"

namespace lockstep::testing {

// A save that is made by a word: `begun` ends it, or fails it.
struct NotedSave : PendingSave {
  void await_snapshot() override {}
  bool under_way() const override { return false; }
  void rest() override {}
  bool failed() const override { return false; }
  void give_up() override {}
  bool advance() override { return true; }
  void finish(const std::function<bool()>& time_is_over) override {
    if (on_finish) on_finish(time_is_over);
  }
  std::function<void(const std::function<bool()>& time_is_over)> on_finish;  // collective
};

// A training of the toy task, its saves noted; `run` may be called again to carry on.
class TrainingLoop : public ::testing::Test {
 protected:
  TrainingLoop() {
    config.run.max_iterations = 12;
    config.data.global_batch = 10;
    config.checkpoint.interval = 5;
    config.checkpoint.max_failures = 3;
    callbacks.save = [this](const SaveRequest& request) {
      saved.push_back(request.iteration);
      last_request = request;
      if (fail_save) fail_save();
      return std::make_unique<NotedSave>();
    };
    callbacks.on_iteration = [this](const Progress& progress) { progresses.push_back(progress); };
  }

  Share share() const { return {.index = comm.rank(), .count = comm.size()}; }
  int last_rank() const { return comm.size() - 1; }
  bool is_last() const { return comm.rank() == last_rank(); }

  TrainingResult run(const TrainingStart& start = {}) {
    if (!state) state.emplace(task, config.optimizer, 1, share());
    return train(comm, {config, task, *state, log, board}, start, callbacks);
  }
  // Raises a flag on the last rank while it makes `iteration`.
  void signal_at(std::int64_t iteration) {
    callbacks.stop_signal = [this] { return signalled ? SIGUSR1 : 0; };
    task.before_train = [this, iteration] {
      signalled = signalled || (is_last() && ++calls == iteration);
    };
  }
  std::vector<float> parameters() const {
    return {state->parameters().begin(), state->parameters().end()};
  }
  void io_failure() {
    agree(comm, "save", [] { throw Error(ErrorCode::kIo, "no space"); });
  }

  Comm comm = Comm::duplicate(MPI_COMM_WORLD);
  Config config;
  Log log{{.json = false, .level = "error"}, false};
  ProgressBoard board;
  ToyTask task;
  std::optional<TrainingState> state;
  TrainingCallbacks callbacks;
  std::vector<std::int64_t> saved;
  SaveRequest last_request;
  std::vector<Progress> progresses;
  std::function<void()> fail_save;
  bool signalled = false;
  std::int64_t calls = 0;
};

}  // namespace lockstep::testing
