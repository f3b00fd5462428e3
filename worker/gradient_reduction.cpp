#include "worker/gradient_reduction.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "common/error.h"
#include "worker/sharded_optimizer.h"

namespace lockstep {
namespace {

// What has left can't be taken back: the sum would lack what was added since.
[[noreturn]] void refuse(std::size_t parameter, std::size_t parameters) {
  if (parameter >= parameters)
    throw Error(ErrorCode::kInvalidConfig, "the task is through with the gradient of parameter " +
                                               std::to_string(parameter) + ", and has " +
                                               std::to_string(parameters));
  throw Error(
      ErrorCode::kInvalidConfig,
      "the task was through with the gradient of parameter " + std::to_string(parameter) +
          " before; where train() makes several backward passes only the last one may tell: "
          "ModelParameters::backward(..., last)");
}

}  // namespace

GradientReduction::GradientReduction(Collectives& collectives, const TrainingState& state)
    : collectives_(collectives),
      state_(state),
      thread_(std::this_thread::get_id()),
      tensors_(state.layout().regions.size(), 0),
      missing_(tensors_),
      squares_(tensors_.size(), 0) {
  for (const auto region : state.layout().region)
    ++tensors_[region];
}

void GradientReduction::begin() {
  missing_ = tensors_;
  told_.assign(state_.layout().region.size(), 0);
  left_ = 0;
}

void GradientReduction::through(std::size_t parameter) {
  if (parameter >= told_.size() || std::exchange(told_[parameter], 1) != 0)
    refuse(parameter, told_.size());
  --missing_[state_.layout().region[parameter]];
  // Backward on a GPU runs in a thread of LibTorch's, which MPI must not see.
  if (collectives_.sums_in_any_thread() || std::this_thread::get_id() == thread_) look();
}

void GradientReduction::look() {
  while (!under_way_.empty() && under_way_.front().sum->there())
    arrived();
  const auto& leaving = state_.layout().leaving;
  while (left_ < leaving.size() && under_way_.size() < Collectives::kSumsAtOnce &&
         missing_[leaving[left_]] == 0)
    start();
}

double GradientReduction::finish() {
  std::ranges::fill(missing_, 0U);
  for (look(); !under_way_.empty(); look()) {
    under_way_.front().sum->wait();
    arrived();
  }
  if (const auto* accelerator = state_.accelerator())
    return accelerator->sum_of_squares(state_.own_gradients());
  return std::accumulate(squares_.begin(), squares_.end(), 0.0);
}

void GradientReduction::start() {
  const auto region = state_.layout().leaving[left_++];
  const auto& range = state_.layout().regions[region].range;
  const auto all = state_.gradients().subspan(static_cast<std::size_t>(range.first),
                                              static_cast<std::size_t>(range.count));
  under_way_.push_back({region, collectives_.start_sum(all, state_.own_gradients(region))});
}

void GradientReduction::arrived() {
  const auto region = under_way_.front().region;
  under_way_.pop_front();
  // While it is in the cache. An accelerator does it at the end: the host would wait for each.
  if (!state_.accelerator()) squares_[region] = sum_of_squares(state_.own_gradients(region));
}

}  // namespace lockstep
