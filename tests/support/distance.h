#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace lockstep::testing {

// |a - b| / |b|, of vectors of equal length.
inline double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double apart = 0;
  double length = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const auto value = static_cast<double>(b[i]);
    apart += std::pow(static_cast<double>(a[i]) - value, 2);
    length += value * value;
  }
  return std::sqrt(apart / length);
}

}  // namespace lockstep::testing
