#include "worker/gradient_reduction.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "worker/sharded_optimizer.h"

namespace lockstep {

GradientReduction::GradientReduction(const Comm& parent, const TrainingState& state)
    : comm_(Comm::duplicate(parent.raw())),
      state_(state),
      tensors_(state.layout().regions.size(), 0),
      missing_(tensors_),
      squares_(tensors_.size(), 0) {
  const auto& layout = state.layout();
  for (const auto region : layout.region)
    ++tensors_[region];
  const auto most = most_received(layout, comm_.size());
  for (std::size_t i = 0; i < std::min(kRegionsOnTheirWay, layout.regions.size()); ++i)
    scratch_.emplace_back(std::max<std::int64_t>(1, most));  // no mapping is empty
}

void GradientReduction::begin() {
  missing_ = tensors_;
  left_ = 0;
}

void GradientReduction::through(std::size_t parameter) {
  --missing_[state_.layout().region[parameter]];
  look();
}

void GradientReduction::look() {
  while (!under_way_.empty() && under_way_.front().sum.there())
    arrived();
  const auto& leaving = state_.layout().leaving;
  while (left_ < leaving.size() && under_way_.size() < kRegionsOnTheirWay &&
         missing_[leaving[left_]] == 0)
    start();
}

double GradientReduction::finish() {
  std::ranges::fill(missing_, 0U);
  for (look(); !under_way_.empty(); look()) {
    under_way_.front().sum.wait();
    arrived();
  }
  return std::accumulate(squares_.begin(), squares_.end(), 0.0);
}

void GradientReduction::start() {
  const auto region = state_.layout().leaving[left_];
  const auto& range = state_.layout().regions[region].range;
  const auto slot = left_ % kRegionsOnTheirWay;
  ++left_;
  under_way_.push_back(
      {region, RegionSum(comm_,
                         {.all = state_.gradients().subspan(static_cast<std::size_t>(range.first),
                                                            static_cast<std::size_t>(range.count)),
                          .own = state_.own_gradients(region),
                          .scratch = scratch_[slot].all()},
                         static_cast<int>(slot))});
}

void GradientReduction::arrived() {
  const auto region = under_way_.front().region;
  squares_[region] = sum_of_squares(state_.own_gradients(region));
  under_way_.pop_front();
}

}  // namespace lockstep
