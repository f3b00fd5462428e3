#pragma once

#include <cstdint>
#include <optional>

#include "common/config.h"

namespace lockstep {

// Pure: the iteration at which training ends: run.max_iterations or the one that completes
// run.max_epochs passes over `length` samples, counted from where it starts (iteration, position);
// the first reached. Never below the start's iteration.
struct TrainingStart {
  std::int64_t iteration = 0;
  std::int64_t position = 0;  // samples
};
std::int64_t final_iteration(const Config& config, const TrainingStart& start, std::int64_t length);

// Pure: the learning rate of the step that makes iteration `iteration` (from 1). With `warmup` w
// the first w steps rise to the full rate: 1/w, 2/w ... 1. From there `linear` and `cosine` fall,
// to reach 0 after step `schedule.iterations` (default: where a run from 0 over `length` samples
// ends); beyond it they stay 0. A warmup that exceeds it is completed all the same.
double learning_rate_at(const Config& config, std::int64_t iteration, std::int64_t length);

}  // namespace lockstep
