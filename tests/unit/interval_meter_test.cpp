#include "worker/interval_meter.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

Progress iteration(std::int64_t number, double loss, std::int64_t samples = 10) {
  return {.iteration = number,
          .final_iteration = 100,
          .position = 10 * number,
          .loss = loss,
          .accuracy = std::nullopt,
          .gradient_norm = 2.0 * static_cast<double>(number),
          .learning_rate = 0.5 / static_cast<double>(number),
          .samples = samples};
}

double sum(const TimeSplit& split) {
  double all = 0;
  for_each_part(split, [&](const char*, double seconds) { all += seconds; });
  return all;
}

TEST(IntervalMeter, MeansAreOverSamplesAndTheRestIsTheLastIterations) {
  IntervalMeter meter;
  meter.add(iteration(1, 4.0, 30));
  meter.add(iteration(2, 2.0, 10));
  const auto interval = meter.take(2, {});
  EXPECT_EQ(interval.iteration, 2);
  EXPECT_EQ(interval.iterations, 2);
  EXPECT_EQ(interval.position, 20);
  EXPECT_EQ(interval.samples, 40);
  EXPECT_DOUBLE_EQ(interval.loss, 3.5);
  EXPECT_FALSE(interval.accuracy);
  EXPECT_DOUBLE_EQ(interval.gradient_norm, 4);
  EXPECT_DOUBLE_EQ(interval.learning_rate, 0.25);
  EXPECT_DOUBLE_EQ(samples_per_second(interval), 20);
}

TEST(IntervalMeter, AccuracyIsThereWhereTheTaskCountsIt) {
  IntervalMeter meter;
  for (const double accuracy : {0.25, 0.75}) {
    auto one = iteration(1, 1);
    one.accuracy = accuracy;
    meter.add(one);
  }
  EXPECT_DOUBLE_EQ(meter.take(1, {}).accuracy.value(), 0.5);
}

TEST(IntervalMeter, ALossThatIsNotFiniteIsNotHidden) {
  IntervalMeter meter;
  meter.add(iteration(1, 1));
  meter.add(iteration(2, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(std::isnan(meter.take(1, {}).loss));
  meter.add(iteration(3, 5));
  EXPECT_DOUBLE_EQ(meter.take(2, {}).loss, 5) << "the next interval begins anew";
}

struct SplitRow {
  const char* name;
  double began_s;
  double now_s;
  TimeSplit before;
  TimeSplit after;
  TimeSplit expected;
  double seconds;
};

TEST(IntervalMeter, EachSecondOfTheWallCountsOnce) {
  const std::vector<SplitRow> rows = {
      {"nothing is told: all is other", 0, 3, {}, {}, {.other = 3}, 3},
      {"what was spent before does not count",
       10,
       14,
       {.compute = 7, .save = 2},
       {.compute = 8, .save = 2, .evaluation = 0.5},
       {.compute = 1, .evaluation = 0.5, .other = 2.5},
       4},
      {"every part",
       0,
       28,
       {},
       {.data = 1, .compute = 2, .communication = 3, .optimizer = 4, .save = 5, .evaluation = 6},
       {.data = 1,
        .compute = 2,
        .communication = 3,
        .optimizer = 4,
        .save = 5,
        .evaluation = 6,
        .other = 7},
       28},
      {"clocks that round do not make it negative",
       0,
       1,
       {},
       {.compute = 1.5},
       {.compute = 1.5},
       1.5},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    IntervalMeter meter;
    meter.begin(row.began_s, row.before);
    meter.add(iteration(1, 1));
    const auto interval = meter.take(row.now_s, row.after);
    auto off = interval.spent;
    off -= row.expected;
    for_each_part(off, [](const char* name, double by) { EXPECT_NEAR(by, 0, 1e-12) << name; });
    EXPECT_DOUBLE_EQ(interval.seconds, row.seconds);
    EXPECT_DOUBLE_EQ(interval.seconds, sum(interval.spent));
  }
}

TEST(IntervalMeter, TheNextIntervalBeginsWhereThisOneEnds) {
  IntervalMeter meter;
  meter.begin(1, {});
  meter.add(iteration(1, 1));
  EXPECT_DOUBLE_EQ(meter.take(3, {.compute = 1}).seconds, 2);
  EXPECT_EQ(meter.iterations(), 0);
  meter.add(iteration(2, 1));
  const auto second = meter.take(7, {.compute = 4});
  EXPECT_EQ(second.iterations, 1);
  EXPECT_DOUBLE_EQ(second.seconds, 4);
  EXPECT_DOUBLE_EQ(second.spent.compute, 3);
  EXPECT_DOUBLE_EQ(second.spent.other, 1);
}

}  // namespace
}  // namespace lockstep
