#include "worker/gradient_reduction.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/toy_task.h"
#include "worker/sharded_optimizer.h"

namespace lockstep {
namespace {

using testing::ToyTask;

// Tensors of which some are larger than a region and some share one; more regions than travel at
// once.
std::vector<TensorSpec> specs() {
  std::vector<TensorSpec> all;
  for (int layer = 0; layer < 9; ++layer) {
    const auto name = "layer" + std::to_string(layer);
    all.push_back({name + ".weight", {layer % 3 == 0 ? 700 : 90, 1000}});
    all.push_back({name + ".bias", {layer % 2 == 0 ? 1000 : 1}});
  }
  return all;
}

std::vector<std::int64_t> lengths(const TrainingState& state) {
  std::vector<std::int64_t> all;
  for (const auto& region : state.layout().regions)
    all.push_back(region.range.count);
  return all;
}

// The parameter: where the state is, the host's memory or one that is treated as an accelerator's.
class Reduction : public ::testing::TestWithParam<bool> {
 protected:
  Reduction() {
    if (GetParam()) state.move_to(accelerator, task);
    // Integers: their sums are exact in any order.
    for (std::size_t i = 0; i < state.gradients().size(); ++i)
      state.gradients()[i] = gradient(i, comm.rank());
  }
  static float gradient(std::size_t i, int rank) {
    return static_cast<float>(i % 1013) * static_cast<float>(rank + 1) - 7;
  }
  void expect_sums(double squares) {
    double all = 0;
    for (std::size_t r = 0; r < state.layout().regions.size(); ++r) {
      const auto own = state.own_range(state.layout().regions[r]);
      const auto sums = state.own_gradients(r);
      ASSERT_EQ(std::ssize(sums), own.count);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        float expected = 0;
        for (int rank = 0; rank < comm.size(); ++rank)
          expected += gradient(static_cast<std::size_t>(own.first) + i, rank);
        ASSERT_EQ(sums[i], expected) << "region " << r << ", element " << i;
      }
      all += sum_of_squares(sums);
    }
    EXPECT_NEAR(squares, all, 1e-12 * all);
  }
  void spoil_sums() {
    for (std::size_t r = 0; r < state.layout().regions.size(); ++r)
      std::ranges::fill(state.own_gradients(r), -1.0F);
  }

  Comm comm = Comm::duplicate(MPI_COMM_WORLD);
  Accelerator accelerator{"cpu"};
  ToyTask task{specs()};
  TrainingState state{task, {}, 1, {.index = comm.rank(), .count = comm.size()}};
  std::unique_ptr<Collectives> collectives = make_collectives(
      comm, {.accelerator = GetParam() ? &accelerator : nullptr, .sums = lengths(state)});
  GradientReduction reduction{*collectives, state};
};
INSTANTIATE_TEST_SUITE_P(OfHostAndAccelerator, Reduction, ::testing::Bool());

TEST_P(Reduction, HasMoreRegionsThanTravelAtOnce) {
  EXPECT_GT(state.layout().regions.size(), Collectives::kSumsAtOnce);
}

TEST_P(Reduction, SumsWhatIsToldInTheOrderOfBackward) {
  for (int iteration = 0; iteration < 3; ++iteration) {
    spoil_sums();
    reduction.begin();
    for (std::size_t i = task.parameters().size(); i-- > 0;)
      reduction.through(i);
    expect_sums(reduction.finish());
  }
}

TEST_P(Reduction, SumsInAnyOrderAndWhatIsNotTold) {
  for (int iteration = 0; iteration < 3; ++iteration) {
    spoil_sums();
    reduction.begin();
    // Another order on each rank, and some never.
    for (std::size_t k = 0; k < task.parameters().size(); ++k)
      if ((k + static_cast<std::size_t>(iteration)) % 5 != 0)
        reduction.through((k * 7 + static_cast<std::size_t>(comm.rank())) %
                          task.parameters().size());
    expect_sums(reduction.finish());
  }
}

// Nothing of a region leaves before all of it is complete.
TEST_P(Reduction, WaitsForAllOfARegion) {
  constexpr std::size_t kLast = 14;
  constexpr std::size_t kBeside = 16;
  ASSERT_EQ(state.layout().region[kLast], state.layout().region[kBeside]);
  auto& value = state.gradients()[static_cast<std::size_t>(state.layout().offset[kBeside])];
  reduction.begin();
  value += 5;
  for (std::size_t i = task.parameters().size(); i-- > 0;)
    if (i != kLast) reduction.through(i);
  value -= 5;
  reduction.through(kLast);
  expect_sums(reduction.finish());
}

// As on a GPU, where backward has a thread of its own; MPI must be called by none but the first.
TEST_P(Reduction, IsToldByAnotherThread) {
  for (int iteration = 0; iteration < 2; ++iteration) {
    spoil_sums();
    reduction.begin();
    std::thread([this] {
      for (std::size_t i = task.parameters().size(); i-- > 0;)
        reduction.through(i);
    }).join();
    EXPECT_TRUE(std::ranges::all_of(state.own_gradients(), [](auto sums) {
      return sums.empty() || sums[0] == -1.0F;
    })) << "nothing is summed in that thread";
    expect_sums(reduction.finish());
  }
}

TEST_P(Reduction, PartsAreGatheredAndBuffersAveraged) {
  const auto values = state.parameters();
  for (const auto& region : state.layout().regions) {
    const auto own = state.own_range(region);
    for (std::int64_t i = region.range.first; i < region.range.end(); ++i)
      values[static_cast<std::size_t>(i)] =
          i < own.first || i >= own.end() ? -1.0F : static_cast<float>(i % 4099);
    collectives->all_gather(values.subspan(static_cast<std::size_t>(region.range.first),
                                           static_cast<std::size_t>(region.range.count)));
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(values[i], static_cast<float>(i % 4099)) << i;

  std::ranges::fill(state.buffers(), static_cast<float>(2 * comm.rank()));
  collectives->average(state.buffers());
  for (const auto value : state.buffers())
    EXPECT_FLOAT_EQ(value, static_cast<float>(comm.size() - 1));
}

TEST_P(Reduction, RefusesAParameterThatIsToldTwiceOrIsNotThere) {
  reduction.begin();
  reduction.through(3);
  testing::error_of(ErrorCode::kInvalidConfig, [&] { reduction.through(3); });
  testing::error_of(ErrorCode::kInvalidConfig,
                    [&] { reduction.through(task.parameters().size()); });
  testing::error_of(ErrorCode::kInvalidConfig, [&] { reduction.through(std::size_t(-1)); });
  expect_sums(reduction.finish());
  reduction.begin();
  EXPECT_NO_THROW(reduction.through(3)) << "another iteration";
  reduction.finish();
}

}  // namespace
}  // namespace lockstep
