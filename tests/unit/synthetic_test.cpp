#include "worker/synthetic.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/reduce_alone.h"
#include "worker/sharded_optimizer.h"
#include "worker/training_state.h"

namespace lockstep {
namespace {

TaskConfig config_of(std::int64_t parameters, std::int64_t tensors) {
  TaskConfig config;
  config.parameters = parameters;
  config.tensors = tensors;
  return config;
}

TEST(Synthetic, HasExactlyTheParametersAndTensorsAskedFor) {
  for (const auto& [parameters, tensors] :
       {std::pair<int, int>{1, 1}, {16, 16}, {17, 3}, {1000, 16}, {100'000, 16}, {100'003, 7}}) {
    Synthetic task(config_of(parameters, tensors), 1);
    EXPECT_EQ(std::ssize(task.parameters()), tensors);
    const TrainingState state(task, {}, 1, {});
    EXPECT_EQ(std::ssize(state.parameters()), parameters);
  }
}

TEST(Synthetic, MoreTensorsThanParametersIsAnError) {
  testing::error_of(ErrorCode::kInvalidConfig, [] { Synthetic(config_of(3, 4), 1); });
  testing::error_of(ErrorCode::kInvalidConfig, [] { Synthetic(config_of(3, 0), 1); });
}

TEST(Synthetic, GradientIsThatOfTheLoss) {
  Synthetic task(config_of(130, 3), 1);
  const TrainingState state(task, {}, 1, {});
  const std::vector<std::int64_t> samples = {3, 59'999, 12, 3};
  const Batch batch{.samples = samples, .weight = 0.25, .rng_seed = 0};
  task.train(batch);
  const std::vector<float> gradients(state.gradients().begin(), state.gradients().end());
  for (const std::size_t i : {0U, 1U, 63U, 64U, 65U, 129U}) {
    constexpr float kStep = 0.05F;
    const float at = state.parameters()[i];
    state.parameters()[i] = at + kStep;
    const double above = task.train(batch).loss;
    state.parameters()[i] = at - kStep;
    const double below = task.train(batch).loss;
    state.parameters()[i] = at;
    EXPECT_NEAR(gradients[i], 0.25 * (above - below) / (2 * static_cast<double>(kStep)), 2e-3) << i;
  }
}

TEST(Synthetic, LossFallsWithEveryOptimizerAndSize) {
  for (const char* name : {"adamw", "adam", "sgd"}) {
    for (const std::int64_t parameters : {64, 5'000, 400'000}) {
      OptimizerConfig optimizer;
      optimizer.name = name;
      if (optimizer.name == "sgd") optimizer.learning_rate = 0.1;
      Synthetic task(config_of(parameters, 16), 1);
      TrainingState state(task, optimizer, 1, {});
      const double before = task.evaluate({.first = 0, .count = 500}).loss;
      for (int iteration = 1; iteration <= 40; ++iteration) {
        std::vector<std::int64_t> samples(60);
        std::iota(samples.begin(), samples.end(), 60 * iteration);
        task.train({.samples = samples, .weight = 1.0 / 60, .rng_seed = 0});
        testing::reduce_alone(state);
        optimizer_step(state, optimizer,
                       {.iteration = iteration, .learning_rate = optimizer.learning_rate});
      }
      EXPECT_LT(task.evaluate({.first = 0, .count = 500}).loss, 0.99 * before)
          << name << " " << parameters;
    }
  }
}

}  // namespace
}  // namespace lockstep
