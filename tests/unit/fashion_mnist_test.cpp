#include "worker/fashion_mnist.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/distance.h"
#include "tests/support/expect_error.h"
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

class FashionMnist : public ::testing::Test {
 protected:
  // The real data, read once.
  static void SetUpTestSuite() { task_ = make_fashion_mnist(std::nullopt, 1); }
  static void TearDownTestSuite() { task_.reset(); }

  // Gradients of `samples` in batches of `batch`.
  static std::vector<float> gradients_of(const TrainingState& state, std::size_t batch) {
    std::vector<std::int64_t> samples(12);
    std::iota(samples.begin(), samples.end(), 59'988);
    std::ranges::fill(state.gradients(), std::nanf(""));  // the first batch writes
    for (std::size_t i = 0; i < samples.size(); i += batch) {
      const auto part = std::span<const std::int64_t>(samples).subspan(i, batch);
      task_->train({.samples = part, .weight = 1.0 / 12, .first = i == 0, .rng_seed = 0});
    }
    return {state.gradients().begin(), state.gradients().end()};
  }

  static inline std::unique_ptr<Task> task_;
};

TEST_F(FashionMnist, HoldsTheRealImages) {
  EXPECT_EQ(task_->training_samples(), 60'000);
  EXPECT_EQ(task_->evaluation_samples(), 10'000);
  EXPECT_EQ(task_->data_digest().size(), 32U);
  EXPECT_TRUE(task_->counts_correct());
}

TEST_F(FashionMnist, EqualBatchesGiveEqualBits) {
  const TrainingState state(*task_, {}, 1, {});
  const auto first = gradients_of(state, 12);
  EXPECT_EQ(gradients_of(state, 12), first);
  EXPECT_TRUE(std::ranges::all_of(first, [](float g) { return std::isfinite(g); }));
}

TEST_F(FashionMnist, GradientsInBf16AreNearThoseInFp32AndEqualEachTime) {
  const TrainingState state(*task_, {}, 1, {});
  const auto exact = gradients_of(state, 12);
  const auto in_bf16 = [&] {
    const Autocast precision(true);
    return gradients_of(state, 12);
  };
  const auto rounded = in_bf16();
  EXPECT_EQ(in_bf16(), rounded);
  EXPECT_EQ(gradients_of(state, 12), exact) << "the precision outside is in force again";
  EXPECT_NE(rounded, exact);
  EXPECT_LT(distance(rounded, exact), 0.1);
}

TEST_F(FashionMnist, ALaterBatchAddsToTheFlatGradient) {
  const TrainingState state(*task_, {}, 1, {});
  const auto once = gradients_of(state, 12);
  std::vector<std::int64_t> samples(12);
  std::iota(samples.begin(), samples.end(), 59'988);
  task_->train({.samples = samples, .weight = 1.0 / 12, .first = false, .rng_seed = 0});
  for (std::size_t i = 0; i < once.size(); ++i)
    EXPECT_EQ(state.gradients()[i], 2 * once[i]) << i;
}

TEST_F(FashionMnist, EvaluationLeavesEverythingAsItWas) {
  const TrainingState state(*task_, {}, 1, {});
  gradients_of(state, 12);
  const auto copy = [](std::span<const float> v) { return std::vector<float>(v.begin(), v.end()); };
  const auto before =
      std::array{copy(state.parameters()), copy(state.gradients()), copy(state.buffers())};
  const Sums sums = task_->evaluate({.first = 9'900, .count = 100});
  EXPECT_EQ(sums.samples, 100);
  EXPECT_GT(sums.loss, 0);
  EXPECT_EQ((std::array{copy(state.parameters()), copy(state.gradients()), copy(state.buffers())}),
            before);
}

TEST_F(FashionMnist, SeedsGiveOtherModels) {
  const TrainingState one(*task_, {}, 1, {});
  const std::vector<float> first(one.parameters().begin(), one.parameters().end());
  const TrainingState two(*task_, {}, 2, {});
  EXPECT_FALSE(std::equal(first.begin(), first.end(), two.parameters().begin()));
}

TEST(FashionMnistData, AFolderWithoutItIsAnErrorThatNamesIt) {
  const TemporaryFolder folder;
  const auto text = error_of(ErrorCode::kNotFound, [&] { make_fashion_mnist(folder.path(), 1); });
  EXPECT_THAT(text, HasSubstr(folder / "train-images-idx3-ubyte"));
}

TEST(FashionMnistData, LabelsMustFitTheImages) {
  const TemporaryFolder folder;
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
  };
  const std::string image(784, 'x');
  const auto images = std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c", 16) + image;
  put("train-images-idx3-ubyte", images);
  put("t10k-images-idx3-ubyte", images);
  put("t10k-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x01\x09", 9));
  const auto labelled = [&](const std::string& labels) {
    put("train-labels-idx1-ubyte", labels);
    return error_of(ErrorCode::kDamaged, [&] { make_fashion_mnist(folder.path(), 1); });
  };
  EXPECT_THAT(labelled(std::string("\0\0\x08\x01\0\0\0\x02\x01\x01", 10)), HasSubstr("2 labels"));
  EXPECT_THAT(labelled(std::string("\0\0\x08\x01\0\0\0\x01\x0a", 9)), HasSubstr("label 10"));
  put("train-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x01\x09", 9));
  EXPECT_EQ(make_fashion_mnist(folder.path(), 1)->training_samples(), 1);
}

}  // namespace
}  // namespace lockstep
