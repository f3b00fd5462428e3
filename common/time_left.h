#pragma once

#include <optional>

namespace lockstep {

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
// Pure; times in seconds.
bool deadline_due(const TimeLeft& left);

}  // namespace lockstep
