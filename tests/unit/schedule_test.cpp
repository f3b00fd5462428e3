#include "worker/schedule.h"

#include <limits>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

Config config_of(std::optional<std::int64_t> iterations, std::optional<std::int64_t> epochs) {
  Config config;
  config.run.max_iterations = iterations;
  config.run.max_epochs = epochs;
  config.data.global_batch = 256;
  config.optimizer.learning_rate = 2;
  return config;
}

TEST(FinalIteration, TheFirstReachedEnds) {
  constexpr std::int64_t kLength = 60'000;  // 234.4 batches
  EXPECT_EQ(final_iteration(config_of(100, {}), {}, kLength), 100);
  EXPECT_EQ(final_iteration(config_of({}, 1), {}, kLength), 235);
  EXPECT_EQ(final_iteration(config_of({}, 3), {}, kLength), 704);
  EXPECT_EQ(final_iteration(config_of(700, 3), {}, kLength), 700);
  EXPECT_EQ(final_iteration(config_of(800, 3), {}, kLength), 704);
}

TEST(FinalIteration, CountsEpochsFromThePosition) {
  const TrainingStart start{.iteration = 100, .position = 25'600};
  EXPECT_EQ(final_iteration(config_of({}, 1), start, 60'000), 235);
  const TrainingStart skipped{.iteration = 100, .position = 25'600 + 10 * 256};
  EXPECT_EQ(final_iteration(config_of({}, 1), skipped, 60'000), 225);
}

TEST(FinalIteration, IsNeverBelowTheStart) {
  EXPECT_EQ(final_iteration(config_of(100, {}), {.iteration = 120, .position = 0}, 10), 120);
  EXPECT_EQ(final_iteration(config_of({}, 1), {.iteration = 120, .position = 99'999}, 10), 120);
}

TEST(FinalIteration, HugeNumbersDoNotOverflow) {
  constexpr auto kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(final_iteration(config_of(50, kHuge), {}, 60'000), 50);
  EXPECT_EQ(final_iteration(config_of(kHuge, {}), {.iteration = 3, .position = 0}, 1), kHuge);
}

double rate(const Config& config, std::int64_t iteration) {
  return learning_rate_at(config, iteration, 60'000);
}

TEST(LearningRate, ConstantIsConstant) {
  const Config config = config_of(10, {});
  EXPECT_EQ(rate(config, 1), 2);
  EXPECT_EQ(rate(config, 1'000'000), 2);
}

TEST(LearningRate, WarmupRisesToTheFullRate) {
  Config config = config_of(10, {});
  config.schedule.warmup = 4;
  for (const char* name : {"constant", "linear", "cosine"}) {
    config.schedule.name = name;
    EXPECT_DOUBLE_EQ(rate(config, 1), 0.5);
    EXPECT_DOUBLE_EQ(rate(config, 3), 1.5);
    EXPECT_DOUBLE_EQ(rate(config, 4), 2);
  }
}

TEST(LearningRate, LinearAndCosineFallToZeroAtTheEnd) {
  Config config = config_of(10, {});
  config.schedule.warmup = 2;
  for (const char* name : {"linear", "cosine"}) {
    config.schedule.name = name;
    EXPECT_DOUBLE_EQ(rate(config, 6), 1) << name;  // half-way
    EXPECT_NEAR(rate(config, 10), 0, 1e-12) << name;
    EXPECT_EQ(rate(config, 11), 0) << name;
    for (int i = 3; i <= 10; ++i)
      EXPECT_LT(rate(config, i), rate(config, i - 1)) << name;
  }
}

TEST(LearningRate, ItsLengthIsItsOwnOrTheRuns) {
  Config config = config_of(10, {});
  config.schedule = {.name = "linear", .warmup = 0, .iterations = 20};
  EXPECT_DOUBLE_EQ(rate(config, 10), 1);
  Config by_epochs = config_of({}, 3);  // 704 iterations
  by_epochs.schedule.name = "linear";
  EXPECT_DOUBLE_EQ(rate(by_epochs, 352), 1);
}

TEST(LearningRate, WarmupLongerThanTheScheduleIsCompleted) {
  Config config = config_of(10, {});
  config.schedule = {.name = "cosine", .warmup = 100, .iterations = {}};
  EXPECT_DOUBLE_EQ(rate(config, 50), 1);
  EXPECT_DOUBLE_EQ(rate(config, 100), 2);
  EXPECT_EQ(rate(config, 101), 0);
}

TEST(LearningRate, ZeroIsLegal) {
  Config config = config_of(10, {});
  config.optimizer.learning_rate = 0;
  EXPECT_EQ(rate(config, 1), 0);
}

}  // namespace
}  // namespace lockstep
