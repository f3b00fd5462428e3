#include "worker/gradient_reduction.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

class Reduction : public ::testing::Test {
 protected:
  Reduction() {
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
    EXPECT_EQ(squares, all);
  }
  void spoil_sums() {
    for (std::size_t r = 0; r < state.layout().regions.size(); ++r)
      std::ranges::fill(state.own_gradients(r), -1.0F);
  }

  Comm comm = Comm::duplicate(MPI_COMM_WORLD);
  ToyTask task{specs()};
  TrainingState state{task, {}, 1, {.index = comm.rank(), .count = comm.size()}};
  GradientReduction reduction{comm, state};
};

TEST_F(Reduction, HasMoreRegionsThanTravelAtOnce) {
  EXPECT_GT(state.layout().regions.size(), kRegionsOnTheirWay);
}

TEST_F(Reduction, SumsWhatIsToldInTheOrderOfBackward) {
  for (int iteration = 0; iteration < 3; ++iteration) {
    spoil_sums();
    reduction.begin();
    for (std::size_t i = task.parameters().size(); i-- > 0;)
      reduction.through(i);
    expect_sums(reduction.finish());
  }
}

TEST_F(Reduction, SumsInAnyOrderAndWhatIsNotTold) {
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
TEST_F(Reduction, WaitsForAllOfARegion) {
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

}  // namespace
}  // namespace lockstep
