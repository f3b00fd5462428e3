#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/comm.h"
#include "worker/batch_feed.h"
#include "worker/collectives.h"
#include "worker/gradient_reduction.h"
#include "worker/task.h"
#include "worker/tick.h"
#include "worker/training_loop.h"

namespace lockstep {

// What an iteration came to. Equal on all ranks but for `failure`, `work_seconds` and `spent`.
struct IterationOutcome {
  TickVerdict verdict;
  Sums sums;  // over the global batch
  double gradient_norm = 0;
  double learning_rate = 0;
  double work_seconds = 0;  // of this rank's forward and backward, data included
  TimeSplit spent;          // this rank's, `other` left out
  bool nonfinite =
      false;  // loss or gradients; verdict.nonfinite_rank: whose, where it is one rank's
  std::exception_ptr
      failure;  // of this rank; where verdict.failed_rank is set the state is worthless
};

// What an iteration asks for on its way. Local.
struct IterationHooks {
  std::function<TickVote()> vote;
  std::function<void()> before_step;  // the first change of what a save in flight may still copy
};

// What all iterations of a training are made with, from `start` on.
struct IterationParts {
  // Collective. What is given, and what `training` refers to, must outlive it.
  IterationParts(const Comm& comm, Tick& tick, const Training& training,
                 const TrainingStart& start);

  const Comm& comm;
  Tick& tick;
  const std::unique_ptr<Collectives> collectives;
  GradientReduction reduction;
  BatchFeed feed;
};

// Makes iteration `start.iteration + 1` from the batch at `start.position`, where the one before it
// ended.
//
// Collective over `parts.comm`: 1. forward and backward on the own slice, and beside them 2. the
// reduction of gradients; average of buffers; 3. sums and gradient norm; 4. tick starts, with what
// `vote` says then; 5. optimizer step on the own part; 6. all-gather of parameters; 7. tick
// finishes.
// A local failure in 1 is kept, and the rest still happens, so that no rank waits for another.
IterationOutcome run_iteration(IterationParts& parts, const Training& training,
                               const TrainingStart& start, const IterationHooks& hooks);

// Evaluates as train() does: `interrupted` runs between batches on every rank, equally often, and
// may communicate; where it is true evaluation ends and the result is empty. Collective. Throws
// AgreedError.
Metrics run_evaluation(const Comm& comm, const Training& training,
                       const std::function<bool()>& interrupted);

// Pure: the metrics that an evaluation of `task` gives, where they are finite.
std::vector<std::string> metric_names(const Task& task);

}  // namespace lockstep
