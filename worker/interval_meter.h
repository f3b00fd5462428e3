#pragma once

#include <cstdint>
#include <optional>

#include "common/metrics.h"
#include "worker/training_loop.h"

namespace lockstep {

// Puts iterations together to intervals. Pure but for what it remembers: the clock, and where the
// time went since training began, are the caller's to read.
class IntervalMeter {
 public:
  // An interval begins at `now_s`, seconds by a clock that goes evenly, with `spent` so far.
  void begin(double now_s, const TimeSplit& spent);
  void add(const Progress& iteration);
  std::int64_t iterations() const { return interval_.iterations; }  // of the interval
  double begun_s() const { return begun_s_; }
  // What was added since it began, and begins the next one. At least one iteration was.
  Interval take(double now_s, const TimeSplit& spent);

 private:
  double begun_s_ = 0;
  TimeSplit spent_;    // when it began
  Interval interval_;  // loss and accuracy: sums over the samples
};

}  // namespace lockstep
