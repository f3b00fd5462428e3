#include "worker/data_order.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

std::vector<std::int64_t> stretch(const DataOrder& order, std::int64_t first, std::int64_t count) {
  return samples_of_slice(order, 0, {.first = first, .count = count});
}

TEST(DataOrder, EachEpochIsAPermutationForManyLengths) {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 1000, 4097}) {
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      auto samples = stretch({.seed = 7, .length = n}, epoch * n, n);
      std::sort(samples.begin(), samples.end());
      std::vector<std::int64_t> all(static_cast<std::size_t>(n));
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(samples, all) << n << " epoch " << epoch;
    }
  }
}

TEST(DataOrder, EpochsAndSeedsDiffer) {
  const DataOrder order{.seed = 1, .length = 1000};
  EXPECT_NE(stretch(order, 0, 1000), stretch(order, 1000, 1000));
  EXPECT_NE(stretch(order, 0, 1000), stretch({.seed = 2, .length = 1000}, 0, 1000));
}

TEST(DataOrder, IsFixedForEver) {
  EXPECT_EQ(stretch({.seed = 1, .length = 60'000}, 0, 4),
            (std::vector<std::int64_t>{22'792, 25'629, 7'743, 20'799}));
  EXPECT_EQ(stretch({.seed = 1, .length = 10}, 8, 4), (std::vector<std::int64_t>{9, 8, 1, 0}));
}

TEST(DataOrder, MixesWell) {  // mean distance of neighbours in a random order of n is n / 3
  constexpr std::int64_t kLength = 60'000;
  const auto samples = stretch({.seed = 3, .length = kLength}, 0, kLength);
  double distance = 0;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    distance += static_cast<double>(std::abs(samples[i] - samples[i - 1]));
  }
  EXPECT_NEAR(distance / kLength, kLength / 3.0, 300);
}

TEST(DataOrder, ReachesFarPositionsOfLargeDataSets) {
  const DataOrder order{.seed = 1, .length = (std::int64_t{1} << 40) + 1};
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < 100; ++i) {
    const auto sample = order.sample_at((std::int64_t{1} << 61) + i);
    EXPECT_GE(sample, 0);
    EXPECT_LT(sample, order.length);
    seen.insert(sample);
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(BatchSlice, FirstRanksTakeOneMore) {
  const auto counts = [](std::int64_t batch, std::int64_t ranks) {
    std::vector<std::int64_t> all;
    for (std::int64_t r = 0; r < ranks; ++r)
      all.push_back(batch_slice(batch, {r, ranks}).count);
    return all;
  };
  EXPECT_EQ(counts(7, 3), (std::vector<std::int64_t>{3, 2, 2}));
  EXPECT_EQ(counts(8, 3), (std::vector<std::int64_t>{3, 3, 2}));
  EXPECT_EQ(counts(60, 4), (std::vector<std::int64_t>{15, 15, 15, 15}));
  EXPECT_EQ(counts(3, 3), (std::vector<std::int64_t>{1, 1, 1}));
}

TEST(BatchSlice, AnyWorldSizeMeetsTheSameSamplesInTheSameOrder) {
  const DataOrder order{.seed = 5, .length = 50};
  for (const std::int64_t batch : {1, 7, 60, 120}) {  // more than an epoch, too
    const auto whole = samples_of_slice(order, 33, {.first = 0, .count = batch});
    for (std::int64_t ranks = 1; ranks <= std::min<std::int64_t>(batch, 9); ++ranks) {
      std::vector<std::int64_t> together;
      for (std::int64_t r = 0; r < ranks; ++r) {
        const auto own = samples_of_slice(order, 33, batch_slice(batch, {r, ranks}));
        together.insert(together.end(), own.begin(), own.end());
      }
      EXPECT_EQ(together, whole) << batch << " over " << ranks;
    }
  }
}

TEST(RngSeed, DiffersByEachOfSeedIterationAndRank) {
  std::set<std::uint64_t> seeds;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    for (std::int64_t iteration = 0; iteration < 8; ++iteration) {
      for (int rank = 0; rank < 8; ++rank) {
        seeds.insert(rng_seed({.seed = seed, .iteration = iteration, .rank = rank}));
      }
    }
  }
  EXPECT_EQ(seeds.size(), 512U);
}

}  // namespace
}  // namespace lockstep
