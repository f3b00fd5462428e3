#pragma once

#include <cstdint>
#include <span>

#include "common/config.h"
#include "worker/training_state.h"

namespace lockstep {

constexpr double kAdamEpsilon = 1e-8;  // torch's default

// One optimizer step on this rank's part of the parameters, from its own_gradients (the sum over
// ranks). Local: the results of torch.optim's AdamW, Adam and SGD up to rounding; on the host plain
// C++, on an accelerator LibTorch's fused steps.
struct StepInput {
  std::int64_t iteration = 1;  // that this step makes, from 1: Adam's bias correction counts by it
  double learning_rate = 0;
  double gradient_scale = 1;  // from clipping
};
void optimizer_step(TrainingState& state, const OptimizerConfig& optimizer, const StepInput& input);

// Pure: sum of squares in double, in a fixed order; NaN or Inf where any element is.
double sum_of_squares(std::span<const float> values);

// Pure: what gradients of global norm `norm` are scaled by: torch's clip_grad_norm_.
double clip_scale(double norm, const OptimizerConfig& optimizer);

}  // namespace lockstep
