#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/log.h"
#include "common/metrics.h"
#include "worker/interval_meter.h"
#include "worker/training_loop.h"

namespace lockstep {

// Shows people how training goes: one line every few seconds, means over the iterations since the
// last one; on a terminal a bar below it that moves.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(const Log& log);

  // `spent`: since training began.
  void add(const Progress& progress, const TimeSplit& spent);
  void pause(const TimeSplit& spent);   // prints what is not yet printed and removes the bar
  void resume(const TimeSplit& spent);  // what happened since pause() counts for no rate

 private:
  using Clock = std::chrono::steady_clock;
  void print(const TimeSplit& spent);
  void draw_bar(std::int64_t iteration) const;

  const Log& log_;
  const Clock::time_point made_ = Clock::now();
  std::int64_t final_iteration_ = 0;
  IntervalMeter meter_;  // since the last line
  double bar_drawn_s_ = 0;
};

// Pure: "1:02:03", "4:05"; for people.
std::string clock_text(double seconds);

}  // namespace lockstep
