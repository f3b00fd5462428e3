#include "worker/interval_meter.h"

#include <algorithm>
#include <utility>

namespace lockstep {

void IntervalMeter::begin(double now_s, const TimeSplit& spent) {
  begun_s_ = now_s;
  spent_ = spent;
  interval_ = {};
}

void IntervalMeter::add(const Progress& iteration) {
  const auto samples = static_cast<double>(iteration.samples);
  interval_.iteration = iteration.iteration;
  interval_.iterations += 1;
  interval_.position = iteration.position;
  interval_.samples += iteration.samples;
  interval_.loss += iteration.loss * samples;
  if (iteration.accuracy)
    interval_.accuracy = interval_.accuracy.value_or(0) + *iteration.accuracy * samples;
  interval_.gradient_norm = iteration.gradient_norm;
  interval_.learning_rate = iteration.learning_rate;
}

Interval IntervalMeter::take(double now_s, const TimeSplit& spent) {
  auto taken = std::exchange(interval_, {});
  const auto samples = static_cast<double>(taken.samples);
  taken.loss /= samples;
  if (taken.accuracy) *taken.accuracy /= samples;
  taken.spent = spent;
  taken.spent -= spent_;
  taken.spent.other = 0;
  double told = 0;
  for_each_part(taken.spent, [&](const char*, double seconds) { told += seconds; });
  taken.spent.other = std::max(0.0, now_s - begun_s_ - told);
  taken.seconds = told + taken.spent.other;
  begin(now_s, spent);
  return taken;
}

}  // namespace lockstep
