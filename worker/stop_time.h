#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "common/time_left.h"

namespace lockstep {

// What a job goes by to save in time (common/time_left.h). All: Pure; times in seconds.

// The largest of the last few: a slow save or iteration counts, one of long ago does not.
class RecentLongest {
 public:
  void add(double seconds);
  std::optional<double> value() const;  // nullopt: nothing was added

 private:
  static constexpr std::size_t kKept = 4;
  std::array<double, kKept> last_{};
  std::size_t added_ = 0;
};

// What is kept back of the time that a stop's save is given: it is dropped by all ranks this long
// before the end, so that the job ends by itself and says what is lost. 5 s, or half of less.
double drop_margin(double given);

}  // namespace lockstep
