#pragma once

#include <array>
#include <cstddef>
#include <optional>

namespace lockstep {

// How long a job must have left to save in time. All: Pure; times in seconds.

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

struct TimeLeft {
  double now = 0;              // until the deadline
  double at_start = 0;         // the same when training began
  std::optional<double> save;  // what a save takes, as measured
  double iteration = 0;        // what an iteration takes
  double grace = 0;            // preempt.grace_seconds
};

// Whether the job must save now, or it may be too late at the next boundary of an iteration: twice
// the save, or the save and 10 s, and two iterations must be left. Until a save was measured it is
// taken for as long as the grace time, but for no more than a quarter of what the job was given.
bool deadline_due(const TimeLeft& left);

// What is kept back of the time that a stop's save is given: it is dropped by all ranks this long
// before the end, so that the job ends by itself and says what is lost. 5 s, or half of less.
double drop_margin(double given);

}  // namespace lockstep
