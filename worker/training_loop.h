#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/comm.h"
#include "common/config.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/progress_board.h"
#include "worker/nccl_collectives.h"
#include "worker/pending_save.h"
#include "worker/schedule.h"
#include "worker/task.h"
#include "worker/training_state.h"

namespace lockstep {

// How far training has come, for people and machines; made each iteration on rank 0.
struct Progress {
  std::int64_t iteration = 0;
  std::int64_t final_iteration = 0;
  std::int64_t position = 0;       // samples since the start of the run's lineage
  double loss = 0;                 // mean over the global batch
  std::optional<double> accuracy;  // on the batch
  double gradient_norm = 0;        // before clipping
  double learning_rate = 0;
  double seconds = 0;        // that the iteration took
  std::int64_t samples = 0;  // in it
};

struct SaveRequest {
  std::int64_t iteration = 0;
  std::int64_t position = 0;
  Metrics metrics;  // of the evaluation at this iteration, finite ones; empty where there was none
  bool beside_training = false;  // else nobody changes the state until finish() is through
};

// What the training loop asks of the one that runs it. All may be empty but `save`.
struct TrainingCallbacks {
  // Begins a save. Collective, every rank at the same iteration. AgreedError(kIo), of this or of a
  // step of the save: not saved, training may go on; any other one ends the training.
  std::function<std::unique_ptr<PendingSave>(const SaveRequest&)> save;
  std::function<int()> stop_signal;      // any rank: number of the signal received, 0 for none
  std::function<bool()> save_requested;  // rank 0: true once for each request
  std::function<bool()> stop_requested;  // rank 0
  std::function<double()> seconds_left;  // rank 0: until the deadline; empty: there is none
  std::optional<double> expected_save_seconds;        // rank 0: until one was measured
  std::function<void(const Progress&)> on_iteration;  // rank 0, after each iteration; must be quick
  // Rank 0, after each metrics.interval iterations, and before training ends after those that are
  // left; with what was evaluated and saved at the last of them. Must be quick, must not throw.
  std::function<void(const Interval&)> on_interval;
  std::function<void(const Evaluation&)> on_evaluation;  // rank 0, after each; likewise
};

enum class TrainingEnd : std::uint8_t {
  kFinished,   // final iteration reached and saved: exit 0
  kPreempted,  // a signal, on any rank, or the deadline: exit 75
  kStopped,    // asked for: exit 77
  kNonFinite,  // loss or gradients, on_nonfinite: stop; nothing saved at that iteration: exit 2
};

// Equal on all ranks.
struct TrainingResult {
  TrainingEnd end = TrainingEnd::kFinished;
  std::int64_t iteration = 0;              // the last one completed
  std::optional<std::int64_t> last_saved;  // by this call
  Metrics metrics;                         // of the last evaluation
  std::string message;                     // one line for people: what ended it, where
};

// What is trained, and with what.
struct Training {
  const Config& config;
  Task& task;
  TrainingState& state;
  const Log& log;
  ProgressBoard& board;
  const NcclModule* nccl = nullptr;  // of a state on a GPU that no other rank has; null: MPI's
};

// Trains from `start` (what `state` holds) until final_iteration, a stop, or a failure.
//
// Collective over `comm`, with equal config and start. Each iteration: forward and backward on the
// own
//   slice, reduce-scatter, tick, optimizer step on the own part, all-gather. Whatever the tick says
//   takes effect at the same iteration on every rank; after a stop nothing is trained beyond the
//   iteration that is saved. A stop that came before the first iteration saves nothing.
// With checkpoint.async a save goes on beside the next iterations, one at a time: where another is
//   due meanwhile, checkpoint.when_busy says whether it waits or is left out. Before the training
//   ends, however it ends, the one in flight is finished.
// A save that fails with kIo is a warning; checkpoint.max_failures of them in a row are an error.
// The
//   last save and a stop's are repeated max_failures times; a preemption's, until 5 s before the
//   end of the grace time, or the deadline: then all ranks drop it together, be it under way, and
//   the message says which iterations are lost.
// Where a deadline is known, training stops in time to save (stop_time.h).
// training.board learns of each part of an iteration, and of each evaluation and its batches.
// Throws AgreedError, equal on all ranks: what `save` threw; kInvalidConfig where there are more
// ranks
//   than samples in a batch; the first local failure of any rank's task.
TrainingResult train(const Comm& comm, const Training& training, const TrainingStart& start,
                     const TrainingCallbacks& callbacks);

// Evaluates what `training.state` holds over the whole evaluation set, split over the ranks.
// Collective. Throws AgreedError.
Metrics evaluate(const Comm& comm, const Training& training);

}  // namespace lockstep
