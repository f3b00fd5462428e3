#include "worker/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace lockstep {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// Iterations that training from `position` makes to complete the epochs.
std::int64_t iterations_of_epochs(const Config& config, std::int64_t position,
                                  std::int64_t length) {
  if (!config.run.max_epochs) return kNever;
  std::int64_t samples = 0;
  if (__builtin_mul_overflow(*config.run.max_epochs, length, &samples)) return kNever;
  const std::int64_t left = std::max<std::int64_t>(0, samples - position);
  const std::int64_t batch = config.data.global_batch;
  return left / batch + (left % batch != 0 ? 1 : 0);
}

}  // namespace

std::int64_t final_iteration(const Config& config, const TrainingStart& start,
                             std::int64_t length) {
  const std::int64_t more = iterations_of_epochs(config, start.position, length);
  const std::int64_t by_epochs = more > kNever - start.iteration ? kNever : start.iteration + more;
  return std::max(start.iteration, std::min(config.run.max_iterations.value_or(kNever), by_epochs));
}

double learning_rate_at(const Config& config, std::int64_t iteration, std::int64_t length) {
  const double full = config.optimizer.learning_rate;
  const auto& schedule = config.schedule;
  const auto at = static_cast<double>(iteration);
  const auto warmup = static_cast<double>(schedule.warmup);
  if (at < warmup) return full * at / warmup;
  if (schedule.name == "constant" || iteration == schedule.warmup) return full;

  const std::int64_t whole = schedule.iterations.value_or(
      config.run.max_iterations.value_or(iterations_of_epochs(config, 0, length)));
  if (iteration >= whole) return 0;
  const double done = (at - warmup) / (static_cast<double>(whole) - warmup);
  if (schedule.name == "cosine") return full * 0.5 * (1 + std::cos(std::numbers::pi * done));
  return full * (1 - done);
}

}  // namespace lockstep
