#include "worker/model_tensors.h"

#include <cmath>
#include <vector>

#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/toy_task.h"
#include "worker/training_state.h"

namespace lockstep {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// y = tied * (tied * x), then last; nothing uses `idle`.
class Parameters : public ::testing::Test {
 protected:
  Parameters() {
    const auto memory = [&](std::vector<std::vector<float>>& values) {
      std::vector<std::span<float>> spans;
      for (const auto& spec : specs_)
        spans.emplace_back(values.emplace_back(static_cast<std::size_t>(spec.shape[0] * 2)));
      return spans;
    };
    parameters_.bind(
        specs_, {.parameters = memory(values_), .gradients = memory(gradients_), .buffers = {}});
    values_[0] = {1, 2, 3, 4};
    values_[2] = {1, 1};
    for (auto& gradient : gradients_)
      gradient.assign(gradient.size(), std::nanf(""));
    parameters_.tell([this](std::size_t i) { told_.push_back(i); });
  }

  void backward(double weight, bool first, bool last = true) {
    const auto x = at::from_blob(x_.data(), {2});
    const auto twice = at::linear(at::linear(x, parameters_[0]), parameters_[0]);
    parameters_.backward(at::linear(twice, parameters_[2]).sum(), weight, first, last);
  }

  std::vector<float> x_ = {1, 0};
  const std::vector<TensorSpec> specs_ = {{"tied", {2, 2}}, {"idle", {3, 2}}, {"last", {1, 2}}};
  std::vector<std::vector<float>> values_, gradients_;
  ModelParameters parameters_;
  std::vector<std::size_t> told_;
};

TEST_F(Parameters, EachGradientIsToldOnceWhenItIsThereAndWhatNothingUsesIsZero) {
  parameters_.tell([this](std::size_t i) {
    EXPECT_THAT(gradients_[i], Each(::testing::Truly([](float g) { return std::isfinite(g); })));
    told_.push_back(i);
  });
  backward(0.5, true);
  // d/dW of 1'WWx = W'1 x' + 1 (Wx)'.
  EXPECT_THAT(gradients_[0], ElementsAre(0.5F * (4 + 1), 0.5F * 3, 0.5F * (6 + 1), 0.5F * 3));
  EXPECT_THAT(gradients_[1], Each(0.0F));
  EXPECT_THAT(gradients_[2], ElementsAre(0.5F * 7, 0.5F * 15));
  EXPECT_THAT(told_, ElementsAre(2, 0));
}

TEST_F(Parameters, OnlyTheFirstBackwardOfAnIterationWritesOverWhatIsThere) {
  backward(0.5, true);
  backward(1, false);
  EXPECT_THAT(gradients_[2], ElementsAre(1.5F * 7, 1.5F * 15));
  EXPECT_THAT(gradients_[1], Each(0.0F));
  backward(0.5, true);
  EXPECT_THAT(gradients_[2], ElementsAre(0.5F * 7, 0.5F * 15));
}

TEST_F(Parameters, NobodyNeedsToBeTold) {
  parameters_.tell({});
  backward(1, true);
  EXPECT_THAT(gradients_[2], ElementsAre(7, 15));
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(Parameters, SeveralBackwardPassesOfATrainAddUpAndTheLastOneTells) {
  backward(0.5, true);
  const auto once = gradients_[0];
  told_.clear();
  backward(0.5, true, false);
  EXPECT_THAT(told_, IsEmpty());
  backward(0.5, false, true);
  EXPECT_THAT(told_, ::testing::UnorderedElementsAre(0, 2));
  for (std::size_t i = 0; i < once.size(); ++i)
    EXPECT_EQ(gradients_[0][i], 2 * once[i]);
}

}  // namespace
}  // namespace lockstep
