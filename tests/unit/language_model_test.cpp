#include "worker/language_model.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "tests/support/distance.h"
#include "tests/support/expect_error.h"
#include "tests/support/reduce_alone.h"
#include "tests/support/temporary_folder.h"
#include "worker/precision.h"
#include "worker/sharded_optimizer.h"
#include "worker/training_state.h"

namespace lockstep {
namespace {

using testing::distance;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr std::int64_t kContext = 8;

TaskConfig small_model() {
  TaskConfig config;
  config.name = "language_model";
  config.layers = 2;
  config.width = 16;
  config.heads = 2;
  config.context = kContext;
  return config;
}

class LanguageModelTask : public ::testing::Test {
 protected:
  std::unique_ptr<Task> task_of(const std::string& text) const {
    std::ofstream(folder_ / "text", std::ios::binary) << text;
    return make_language_model(small_model(), folder_ / "text", 1);
  }
  // 41 samples: 39 and 2.
  static std::string abc() {
    std::string text;
    while (std::ssize(text) <= 41 * kContext)
      text += "abcdefghijk ";
    return text.substr(0, 41 * kContext + 1);
  }

  static std::vector<float> copy(std::span<const float> values) {
    return {values.begin(), values.end()};
  }
  static std::vector<float> gradients_of(Task& task, const TrainingState& state,
                                         std::size_t batch) {
    std::vector<std::int64_t> samples(6);
    std::iota(samples.begin(), samples.end(), 30);
    std::ranges::fill(state.gradients(), std::nanf(""));  // the first batch writes
    for (std::size_t i = 0; i < samples.size(); i += batch)
      task.train(
          {.samples = std::span(samples).subspan(i, batch), .weight = 1.0 / 6, .first = i == 0});
    return copy(state.gradients());
  }

  TemporaryFolder folder_;
};

TEST_F(LanguageModelTask, SamplesAreStretchesOfTheText) {
  const auto task = task_of(abc());
  EXPECT_EQ(task->training_samples(), 39);
  EXPECT_EQ(task->evaluation_samples(), 2);
  EXPECT_FALSE(task->counts_correct());
  EXPECT_EQ(task->parameters().front().name, "token.weight");
  EXPECT_EQ(task->parameters().size(), 2U + 2 * 12 + 3);
}

TEST_F(LanguageModelTask, TooShortATextIsAnErrorThatSaysWhatIsNeeded) {
  EXPECT_THAT(error_of(ErrorCode::kInvalidConfig, [&] { task_of("abcdefghijklmnop"); }),
              HasSubstr("at least 17 are needed"));
  EXPECT_EQ(task_of("abcdefghijklmnopq")->training_samples(), 1);
}

TEST_F(LanguageModelTask, GradientIsThatOfTheLoss) {
  const auto task = task_of(abc());
  const TrainingState state(*task, {}, 1, {});
  const std::vector<std::int64_t> samples = {3, 0, 38};
  const Batch batch{.samples = samples, .weight = 1.0 / 3};
  task->train(batch);
  const auto gradients = copy(state.gradients());
  // Those of most weight, all over the model.
  std::vector<std::size_t> order(gradients.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [&](std::size_t i) { return -std::abs(gradients[i]); });
  for (std::size_t k = 0; k < 400; k += 20) {
    const auto i = order[k];
    constexpr float kStep = 0.01F;
    const float at = state.parameters()[i];
    state.parameters()[i] = at + kStep;
    const double above = task->train(batch).loss;
    state.parameters()[i] = at - kStep;
    const double below = task->train(batch).loss;
    state.parameters()[i] = at;
    const double slope = (above - below) / 3 / (2 * static_cast<double>(kStep));
    EXPECT_NEAR(gradients[i], slope, 1e-3 + 0.02 * std::abs(slope)) << i;
  }
}

TEST_F(LanguageModelTask, EqualBatchesGiveEqualBitsAndPartsOfABatchAddUp) {
  const auto task = task_of(abc());
  const TrainingState state(*task, {}, 1, {});
  const auto whole = gradients_of(*task, state, 6);
  EXPECT_EQ(gradients_of(*task, state, 6), whole);
  const auto parts = gradients_of(*task, state, 2);
  for (std::size_t i = 0; i < whole.size(); ++i)
    EXPECT_NEAR(parts[i], whole[i], 1e-6) << i;
}

TEST_F(LanguageModelTask, GradientsInBf16AreNearThoseInFp32AndEqualEachTime) {
  const auto task = task_of(abc());
  const TrainingState state(*task, {}, 1, {});
  const auto exact = gradients_of(*task, state, 6);
  const auto in_bf16 = [&] {
    const Autocast precision(true);
    return gradients_of(*task, state, 3);
  };
  const auto rounded = in_bf16();
  EXPECT_EQ(in_bf16(), rounded);
  EXPECT_EQ(gradients_of(*task, state, 6), exact) << "the precision outside is in force again";
  EXPECT_NE(rounded, exact);
  EXPECT_LT(distance(rounded, exact), 0.1);
}

TEST_F(LanguageModelTask, EvaluationAndShowingLeaveEverythingAsItWas) {
  const auto task = task_of(abc());
  const TrainingState state(*task, {}, 1, {});
  gradients_of(*task, state, 6);
  const auto before = std::pair(copy(state.parameters()), copy(state.gradients()));
  const Sums one = task->evaluate({.first = 0, .count = 1});
  const Sums other = task->evaluate({.first = 1, .count = 1});
  const Sums both = task->evaluate({.first = 0, .count = 2});
  EXPECT_EQ(both.samples, 2);
  EXPECT_NEAR(both.loss, one.loss + other.loss, 1e-4);
  const auto made = task->show(1);
  EXPECT_EQ(task->show(1), made);
  EXPECT_NO_THROW(nlohmann::json(made).dump()) << "not UTF-8";
  EXPECT_NE(task->show(2), made);
  EXPECT_LE(made.size(), 3U * 170) << "a byte can become a character of three";
  EXPECT_EQ(std::pair(copy(state.parameters()), copy(state.gradients())), before);
}

// The loss of a text that repeats itself falls to nothing, and the model then writes it.
TEST_F(LanguageModelTask, LearnsItsText) {
  const auto task = task_of(abc());
  TrainingState state(*task, {}, 1, {});
  std::vector<std::int64_t> samples(39);
  std::iota(samples.begin(), samples.end(), 0);
  const double before = task->evaluate({.first = 0, .count = 2}).loss / 2;
  EXPECT_NEAR(before, std::log(256), 0.2);
  for (int i = 1; i <= 150; ++i) {
    task->train({.samples = samples, .weight = 1.0 / 39});
    testing::reduce_alone(state);
    optimizer_step(state, {}, {.iteration = i, .learning_rate = 0.01});
  }
  EXPECT_LT(task->evaluate({.first = 0, .count = 2}).loss / 2, 0.3);
  EXPECT_THAT(task->show(1), HasSubstr("efghijk abcdefg"));
}

}  // namespace
}  // namespace lockstep
