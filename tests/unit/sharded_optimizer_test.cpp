#include "worker/sharded_optimizer.h"

#include <array>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/toy_task.h"

namespace lockstep {
namespace {

using testing::ToyTask;

// Three steps at learning rate 0.1 from parameters 1 and -2, gradients 0.5 t and -0.25 t, decay
// 0.1. `decayed` and `undecayed`: what torch.optim's formulas give in double precision.
struct Reference {
  const char* name;
  double momentum;
  std::array<double, 2> decayed;
  std::array<double, 2> undecayed;
};
constexpr Reference kReferences[] = {
    {"adamw",
     0,
     {0.6809358610891806, -1.6512348651445434},
     {0.7076816791153657, -1.7076816832227353}},
    {"adam",
     0,
     {0.7056952879647671, -1.7025510105384787},
     {0.7076816791153657, -1.7076816832227353}},
    {"sgd", 0, {0.672294, -1.7915955}, {0.7, -1.85}},
    {"sgd", 0.9, {0.471774, -1.6524555}, {0.5245, -1.76225}},
};

// On the host, and by LibTorch's fused steps where the state is on an accelerator.
class OptimizerStepOn : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(HostAndAccelerator, OptimizerStepOn, ::testing::Bool());

TEST_P(OptimizerStepOn, GivesWhatTorchGives) {
  const Accelerator accelerator("cpu");
  for (const auto& reference : kReferences) {
    OptimizerConfig config;
    config.name = reference.name;
    config.momentum = reference.momentum;
    config.weight_decay = 0.1;
    ToyTask task({{"weight", {2, 1}}, {"bias", {2}}});
    TrainingState state(task, config, 1, {.index = 0, .count = 1});
    for (std::size_t i = 0; i < 4; ++i)
      state.parameters()[i] = i % 2 == 0 ? 1.0F : -2.0F;
    if (GetParam()) state.move_to(accelerator, task);
    for (int t = 1; t <= 3; ++t) {
      for (std::size_t region = 0; region < 2; ++region) {
        // Twice too large: the scale must be applied.
        state.own_gradients(region)[0] = 1.0F * static_cast<float>(t);
        state.own_gradients(region)[1] = -0.5F * static_cast<float>(t);
      }
      optimizer_step(state, config, {.iteration = t, .learning_rate = 0.1, .gradient_scale = 0.5});
    }
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(state.parameters()[i], reference.decayed.at(i), 1e-6) << reference.name;
      EXPECT_NEAR(state.parameters()[2 + i], reference.undecayed.at(i), 1e-6) << reference.name;
    }
  }
}

TEST(OptimizerStep, LearningRateZeroChangesNothing) {
  ToyTask task;
  OptimizerConfig config;
  TrainingState state(task, config, 1, {.index = 0, .count = 1});
  const std::vector<float> before(state.parameters().begin(), state.parameters().end());
  for (float& gradient : state.own_gradients(0))
    gradient = 1;
  optimizer_step(state, config, {.iteration = 1, .learning_rate = 0});
  EXPECT_TRUE(std::equal(before.begin(), before.end(), state.parameters().begin()));
}

TEST(OptimizerStep, ChangesOnlyTheOwnPart) {
  ToyTask task;  // 23 decayed elements, 7 not
  OptimizerConfig config;
  TrainingState state(task, config, 1, {.index = 1, .count = 3});
  const std::vector<float> before(state.parameters().begin(), state.parameters().end());
  for (std::size_t r = 0; r < 2; ++r) {
    for (float& gradient : state.own_gradients(r))
      gradient = 1;
  }
  optimizer_step(state, config, {.iteration = 1, .learning_rate = 0.1});
  for (std::int64_t i = 0; i < 30; ++i) {
    bool own = false;
    for (const auto& region : state.layout().regions) {
      const Range range = state.own_range(region);
      own = own || (i >= range.first && i < range.end());
    }
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(state.parameters()[at] != before[at], own) << i;
  }
}

TEST(SumOfSquares, IsExactWhereDoublesAreAndSeesEveryElement) {
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<float> values(n, 3.0F);
    EXPECT_EQ(sum_of_squares(values), 9.0 * static_cast<double>(n));
    for (std::size_t i = 0; i < n; ++i) {
      values[i] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(sum_of_squares(values))) << i << " of " << n;
      values[i] = std::numeric_limits<float>::infinity();
      EXPECT_TRUE(std::isinf(sum_of_squares(values))) << i << " of " << n;
      values[i] = 3.0F;
    }
  }
  const std::vector<float> large(4, std::numeric_limits<float>::max());
  EXPECT_TRUE(std::isfinite(sum_of_squares(large)));
}

TEST(ClipScale, ScalesDownOnlyWhatIsTooLong) {
  OptimizerConfig config;
  EXPECT_EQ(clip_scale(1e9, config), 1);
  config.clip_norm = 2;
  EXPECT_EQ(clip_scale(1.5, config), 1);
  EXPECT_NEAR(clip_scale(8, config), 0.25, 1e-6);
}

}  // namespace
}  // namespace lockstep
