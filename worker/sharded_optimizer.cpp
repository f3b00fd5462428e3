#include "worker/sharded_optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

namespace lockstep {
namespace {

using Part = Accelerator::Part;

struct AdamFactors {
  float gradient_scale;
  float l2;      // added to the gradient, times the parameter
  float shrink;  // of the parameter: decoupled decay
  float beta1;
  float rest1;  // 1 - beta1, not rounded twice
  float beta2;
  float rest2;
  float step_size;
  float root_correction;  // 1 / sqrt(1 - beta2^t)
};

void adam(const Part& part, const AdamFactors& f) {
  float* __restrict p = part.parameters.data();
  const float* __restrict g = part.gradients.data();
  float* __restrict m = part.first.data();
  float* __restrict v = part.second.data();
  const std::size_t n = part.parameters.size();
  const auto epsilon = static_cast<float>(kAdamEpsilon);
  for (std::size_t i = 0; i < n; ++i) {
    const float gradient = g[i] * f.gradient_scale + f.l2 * p[i];
    m[i] = f.beta1 * m[i] + f.rest1 * gradient;
    v[i] = f.beta2 * v[i] + f.rest2 * gradient * gradient;
    const float denominator = std::sqrt(v[i]) * f.root_correction + epsilon;
    p[i] = p[i] * f.shrink - f.step_size * m[i] / denominator;
  }
}

struct SgdFactors {
  float gradient_scale;
  float l2;
  float momentum;
  float step_size;
};

void sgd(const Part& part, const SgdFactors& f) {
  float* __restrict p = part.parameters.data();
  const float* __restrict g = part.gradients.data();
  float* __restrict m = part.first.data();
  const std::size_t n = part.parameters.size();
  if (part.first.empty()) {
    for (std::size_t i = 0; i < n; ++i) {
      p[i] -= f.step_size * (g[i] * f.gradient_scale + f.l2 * p[i]);
    }
    return;
  }
  for (std::size_t i = 0; i < n; ++i) {
    m[i] = f.momentum * m[i] + (g[i] * f.gradient_scale + f.l2 * p[i]);
    p[i] -= f.step_size * m[i];
  }
}

void step_part(const Part& part, const OptimizerConfig& optimizer, const StepInput& input) {
  const double decay = part.decayed ? optimizer.weight_decay : 0.0;
  const auto scale = static_cast<float>(input.gradient_scale);
  if (optimizer.name == "sgd") {
    sgd(part, {.gradient_scale = scale,
               .l2 = static_cast<float>(decay),
               .momentum = static_cast<float>(optimizer.momentum),
               .step_size = static_cast<float>(input.learning_rate)});
    return;
  }
  const auto t = static_cast<double>(input.iteration);
  const double correction1 = 1 - std::pow(optimizer.betas[0], t);
  const double correction2 = 1 - std::pow(optimizer.betas[1], t);
  const bool decoupled = optimizer.name == "adamw";
  adam(part, {.gradient_scale = scale,
              .l2 = static_cast<float>(decoupled ? 0.0 : decay),
              .shrink = static_cast<float>(decoupled ? 1 - input.learning_rate * decay : 1.0),
              .beta1 = static_cast<float>(optimizer.betas[0]),
              .rest1 = static_cast<float>(1 - optimizer.betas[0]),
              .beta2 = static_cast<float>(optimizer.betas[1]),
              .rest2 = static_cast<float>(1 - optimizer.betas[1]),
              .step_size = static_cast<float>(input.learning_rate / correction1),
              .root_correction = static_cast<float>(1 / std::sqrt(correction2))});
}

}  // namespace

void optimizer_step(TrainingState& state, const OptimizerConfig& optimizer,
                    const StepInput& input) {
  const auto& regions = state.layout().regions;
  std::vector<Part> parts;
  for (std::size_t r = 0; r < regions.size(); ++r) {
    const Range own = state.own_range(regions[r]);
    const auto slot = [&](std::size_t index) -> std::span<float> {
      return index < state.slots().size() ? state.slots()[index].parts[r].all()
                                          : std::span<float>{};
    };
    parts.push_back({.parameters = state.parameters().subspan(static_cast<std::size_t>(own.first),
                                                              static_cast<std::size_t>(own.count)),
                     .gradients = state.own_gradients(r),
                     .first = slot(0),
                     .second = slot(1),
                     .decayed = regions[r].decayed});
  }
  if (const auto* accelerator = state.accelerator())
    return accelerator->step(parts, optimizer, input);
  for (const auto& part : parts)
    if (!part.parameters.empty()) step_part(part, optimizer, input);
}

double sum_of_squares(std::span<const float> values) {
  constexpr std::size_t kLanes = 16;  // a fixed order that vectorises
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      sums[lane] += value * value;
    }
  }
  for (std::size_t lane = 0; i < values.size(); ++i, ++lane) {
    const auto value = static_cast<double>(values[i]);
    sums[lane] += value * value;
  }
  double total = 0;
  for (const double sum : sums)
    total += sum;
  return total;
}

double clip_scale(double norm, const OptimizerConfig& optimizer) {
  if (!optimizer.clip_norm) return 1;
  return std::min(1.0, *optimizer.clip_norm / (norm + 1e-6));
}

}  // namespace lockstep
