#include "worker/stop_time.h"

#include <algorithm>

namespace lockstep {

void RecentLongest::add(double seconds) {
  last_[added_++ % kKept] = seconds;
}

std::optional<double> RecentLongest::value() const {
  if (added_ == 0) return std::nullopt;
  return *std::max_element(last_.begin(), last_.begin() + std::min(added_, kKept));
}

double drop_margin(double given) {
  constexpr double kMarginSeconds = 5;
  return std::min(kMarginSeconds, given / 2);
}

}  // namespace lockstep
