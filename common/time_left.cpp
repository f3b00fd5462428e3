#include "common/time_left.h"

#include <algorithm>

namespace lockstep {

bool deadline_due(const TimeLeft& left) {
  constexpr double kRoomSeconds = 10;
  const double save = left.save.value_or(std::min(left.grace, left.at_start / 4));
  return left.now <= std::max(2 * save, save + kRoomSeconds) + 2 * left.iteration;
}

}  // namespace lockstep
