#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace lockstep {

// The median of the last few values: what is usual, whatever one of them was. Cost: a copy and a
// selection among 15 numbers.
class RecentMedian {
 public:
  void add(double value) {
    values_[added_ % kMost] = value;
    ++added_;
  }

  // 0 where there is none; of an even number the upper one.
  double value() const {
    if (added_ == 0) return 0;
    auto sorted = values_;
    const auto count = std::min(added_, kMost);
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(count / 2);
    std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(count));
    return *middle;
  }

 private:
  static constexpr std::size_t kMost = 15;
  std::array<double, kMost> values_{};
  std::size_t added_ = 0;
};

}  // namespace lockstep
