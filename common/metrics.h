#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace lockstep {

using Metrics = std::map<std::string, double>;  // of an evaluation: "loss", "accuracy"

// Where the wall time of rank 0's training thread went, in seconds. Each moment counts once.
struct TimeSplit {
  double data = 0;     // samples brought to where the model reads them
  double compute = 0;  // forward and backward; what travels beside them costs no time of its own
  double communication = 0;  // training waited for gradients, sums, parameters, the tick
  double optimizer = 0;
  double save = 0;  // training was held by saves
  double evaluation = 0;
  double other = 0;  // the rest

  TimeSplit& operator+=(const TimeSplit& more);
  TimeSplit& operator-=(const TimeSplit& less);
};

// Calls `visit("data", seconds)` for each part.
template <typename Split, typename Visit>
void for_each_part(Split& split, Visit&& visit) {
  visit("data", split.data);
  visit("compute", split.compute);
  visit("communication", split.communication);
  visit("optimizer", split.optimizer);
  visit("save", split.save);
  visit("evaluation", split.evaluation);
  visit("other", split.other);
}

// Iterations in a row, together.
struct Interval {
  std::int64_t iteration = 0;  // the last of them
  std::int64_t iterations = 0;
  std::int64_t position = 0;  // behind the last of them: samples since the lineage's start
  std::int64_t samples = 0;
  double loss = 0;                      // mean over the samples
  std::optional<double> accuracy = {};  // likewise
  double gradient_norm = 0;             // of the last iteration, before clipping
  double learning_rate = 0;             // of the last iteration
  double seconds = 0;                   // wall time, the sum of `spent`
  TimeSplit spent = {};
};

// Pure. 0 where no time went by.
inline double samples_per_second(const Interval& interval) {
  return interval.seconds > 0 ? static_cast<double>(interval.samples) / interval.seconds : 0;
}

struct Evaluation {
  std::int64_t iteration = 0;
  std::int64_t position = 0;
  double seconds = 0;
  Metrics metrics = {};  // finite ones
};

inline TimeSplit& TimeSplit::operator+=(const TimeSplit& more) {
  data += more.data;
  compute += more.compute;
  communication += more.communication;
  optimizer += more.optimizer;
  save += more.save;
  evaluation += more.evaluation;
  other += more.other;
  return *this;
}

inline TimeSplit& TimeSplit::operator-=(const TimeSplit& less) {
  auto negative = less;
  for_each_part(negative, [](const char*, double& seconds) { seconds = -seconds; });
  return *this += negative;
}

}  // namespace lockstep
