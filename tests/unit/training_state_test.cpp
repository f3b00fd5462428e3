#include "worker/training_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/toy_task.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::ToyTask;

const std::vector<TensorSpec> kSpecs = {
    {"a.weight", {3, 5}}, {"a.bias", {7}}, {"b.weight", {2, 2, 2}}};

TEST(LayOut, DecayedTensorsComeFirst) {
  const FlatLayout layout = lay_out(kSpecs, std::nullopt);
  EXPECT_THAT(layout.order, ElementsAre(0, 2, 1));
  EXPECT_THAT(layout.offset, ElementsAre(0, 23, 15));
  EXPECT_EQ(layout.elements, 30);
  EXPECT_EQ(layout.regions[0].range, (Range{0, 23}));
  EXPECT_TRUE(layout.regions[0].decayed);
  EXPECT_EQ(layout.regions[1].range, (Range{23, 7}));
  EXPECT_FALSE(layout.regions[1].decayed);
}

TEST(LayOut, GlobsSayWhatIsNotDecayed) {
  EXPECT_THAT(lay_out(kSpecs, {{"a.*"}}).order, ElementsAre(2, 0, 1));
  EXPECT_THAT(lay_out(kSpecs, {{"model.b.weight"}}).order, ElementsAre(0, 1, 2));
  EXPECT_EQ(lay_out(kSpecs, {{"*"}}).regions[0].range.count, 0);
  EXPECT_EQ(lay_out(kSpecs, {std::vector<std::string>{}}).regions[1].range.count, 0);
}

TEST(LayOut, AGlobThatMatchesNothingIsAnError) {
  const auto text = error_of(ErrorCode::kInvalidConfig, [] {
    lay_out(kSpecs, {{"a.bias", "c.*"}});
  });
  EXPECT_THAT(text, HasSubstr("'c.*' matches no tensor"));
}

TEST(LayOut, RegionsAreFilledFromTheLastTensorOn) {
  const std::vector<TensorSpec> specs = {
      {"a.weight", {6, 1}}, {"a.bias", {6}},      {"b.weight", {9, 1}}, {"b.bias", {1}},
      {"c.weight", {2, 1}}, {"d.weight", {3, 1}}, {"d.bias", {2}}};
  const FlatLayout layout = lay_out(specs, std::nullopt, {.first = 4, .other = 8});
  const auto range_of = [&](std::size_t region) { return layout.regions[region].range; };
  // Decayed: d; c, since b is too large to be with it; b, larger than a region; a. Biases of d and
  // b; of a.
  ASSERT_EQ(layout.regions.size(), 6U);
  EXPECT_THAT(layout.order, ElementsAre(5, 4, 2, 0, 3, 6, 1));
  EXPECT_EQ(range_of(0), (Range{0, 3}));
  EXPECT_EQ(range_of(1), (Range{3, 2}));
  EXPECT_EQ(range_of(2), (Range{5, 9}));
  EXPECT_EQ(range_of(3), (Range{14, 6}));
  EXPECT_EQ(range_of(4), (Range{20, 3}));
  EXPECT_EQ(range_of(5), (Range{23, 6}));
  EXPECT_THAT(layout.region, ElementsAre(3, 5, 2, 4, 1, 0, 4));
  // A region leaves with the first of its tensors.
  EXPECT_THAT(layout.leaving, ElementsAre(0, 1, 4, 2, 5, 3));
}

TEST(RegionSizes, GrowWithTheWorldSoThatARanksPartStaysWorthAMessage) {
  EXPECT_EQ(region_sizes(1).other, region_sizes(16).other);
  EXPECT_EQ(region_sizes(1024).other / 1024, region_sizes(16'384).other / 16'384);
  EXPECT_GE(region_sizes(17).other / 17, 1 << 16);
}

std::vector<std::string> names(const StateView& view) {
  std::vector<std::string> all;
  for (const auto& section : view.sections) {
    for (const auto& tensor : section.tensors)
      all.push_back(tensor.name);
  }
  return all;
}

TEST(TrainingState, ViewNamesAllThatACheckpointHolds) {
  ToyTask task;
  TrainingState state(task, {}, 1, {.index = 0, .count = 2});
  EXPECT_THAT(
      names(state.view()),
      ElementsAre("model.a.weight", "model.b.weight", "model.a.bias", "optimizer.a.weight.exp_avg",
                  "optimizer.b.weight.exp_avg", "optimizer.a.bias.exp_avg",
                  "optimizer.a.weight.exp_avg_sq", "optimizer.b.weight.exp_avg_sq",
                  "optimizer.a.bias.exp_avg_sq", "buffer.mean"));
}

TEST(TrainingState, IsZeroWhenItIsCleared) {
  ToyTask task;
  TrainingState state(task, {}, 1, {.index = 1, .count = 3});
  const auto is_zero = [](std::span<const float> values) {
    return std::ranges::all_of(values, [](float value) { return value == 0; });
  };
  for (auto& slot : state.slots())
    for (const auto& part : slot.parts)
      std::ranges::fill(part.all(), 2.0F);
  std::ranges::fill(state.buffers(), 2.0F);
  EXPECT_FALSE(is_zero(state.parameters()));
  state.clear();
  EXPECT_TRUE(is_zero(state.parameters()));
  EXPECT_TRUE(is_zero(state.buffers()));
  for (const auto& slot : state.slots())
    for (const auto& part : slot.parts)
      EXPECT_TRUE(is_zero(part.all()));
}

TEST(TrainingState, OptimizersKeepWhatTheyNeed) {
  ToyTask task;
  OptimizerConfig sgd;
  sgd.name = "sgd";
  EXPECT_EQ(TrainingState(task, sgd, 1, {}).slots().size(), 0U);
  sgd.momentum = 0.9;
  TrainingState state(task, sgd, 1, {});
  EXPECT_THAT(names(state.view()), ::testing::Contains("optimizer.a.bias.momentum_buffer"));
}

TEST(TrainingState, SectionsDescribeTheMemoryThatTrainingUses) {
  ToyTask task;
  for (std::int64_t rank = 0; rank < 3; ++rank) {
    TrainingState state(task, {}, 1, {.index = rank, .count = 3});
    for (const auto& section : state.view().sections) {
      std::int64_t sum = 0;
      for (const auto& tensor : section.tensors)
        sum += elements(tensor);
      EXPECT_EQ(sum, section.elements);
      const bool optimizer = section.tensors.front().name.starts_with("optimizer.");
      EXPECT_EQ(section.replicated, !optimizer);
    }
    EXPECT_EQ(state.view().sections[0].data, std::as_bytes(state.parameters()).data());
    EXPECT_EQ(state.view().sections[1].data, std::as_bytes(state.parameters()).data() + 23 * 4);
    for (std::size_t r = 0; r < 2; ++r) {
      const auto own = part_of(state.layout().regions[r].range.count, state.rank()).count;
      EXPECT_EQ(std::ssize(state.slots()[0].parts[r].all()), own);
      EXPECT_EQ(std::ssize(state.own_gradients(r)), own);
    }
  }
}

TEST(TrainingState, InitialValuesDoNotDependOnTheWorld) {
  ToyTask one_task;
  ToyTask other_task;
  const TrainingState one(one_task, {}, 5, {.index = 0, .count = 1});
  const TrainingState other(other_task, {}, 5, {.index = 2, .count = 4});
  EXPECT_TRUE(
      std::equal(one.parameters().begin(), one.parameters().end(), other.parameters().begin()));
}

}  // namespace
}  // namespace lockstep
