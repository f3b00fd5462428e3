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

bool deadline_due(const TimeLeft& left) {
  constexpr double kRoomSeconds = 10;
  const double save = left.save.value_or(std::min(left.grace, left.at_start / 4));
  return left.now <= std::max(2 * save, save + kRoomSeconds) + 2 * left.iteration;
}

double drop_margin(double given) {
  constexpr double kMarginSeconds = 5;
  return std::min(kMarginSeconds, given / 2);
}

}  // namespace lockstep
