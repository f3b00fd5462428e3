#include <cstdlib>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "common/partition.h"
#include "worker/host_share.h"
#include "worker/mpi_collectives.h"
#include "worker/region_sum.h"
#include "worker/tick.h"

namespace lockstep {
namespace {

class MpiCollectives : public ::testing::Test {
 protected:
  // Small whole numbers: their sums are exact in any order.
  float value(int rank, std::int64_t i) const { return static_cast<float>(100 * rank + i % 97); }
  Range own(std::int64_t n) const {
    return part_of(n, {.index = comm.rank(), .count = comm.size()});
  }

  Comm comm = Comm::duplicate(MPI_COMM_WORLD);
};

constexpr std::int64_t kLengths[] = {0, 1, 2, 3, 7, 1000, 100'003};
constexpr std::int64_t kLimits[] = {1, 3, 400, kMessageLimit};

TEST_F(MpiCollectives, ReduceScatterGivesEachRankTheSumOfItsPart) {
  const int rank_sum = comm.size() * (comm.size() - 1) / 2;
  for (const auto n : kLengths) {
    for (const auto limit : kLimits) {
      if (n > 100 * limit) continue;  // many messages
      std::vector<float> all(static_cast<std::size_t>(n));
      for (std::int64_t i = 0; i < n; ++i)
        all[static_cast<std::size_t>(i)] = value(comm.rank(), i);
      const auto before = all;
      std::vector<float> mine(static_cast<std::size_t>(own(n).count), -1);
      reduce_scatter(comm, all, mine, limit);
      EXPECT_EQ(all, before);
      for (std::int64_t i = 0; i < own(n).count; ++i) {
        const auto expected = static_cast<float>(100 * rank_sum) +
                              static_cast<float>(comm.size()) * value(0, own(n).first + i);
        ASSERT_EQ(mine[static_cast<std::size_t>(i)], expected) << n << " limit " << limit;
      }
    }
  }
}

TEST_F(MpiCollectives, AllGatherGivesEveryRankAllParts) {
  for (const auto n : kLengths) {
    for (const auto limit : kLimits) {
      if (n > 100 * limit) continue;
      std::vector<float> all(static_cast<std::size_t>(n), -1);
      for (std::int64_t i = own(n).first; i < own(n).end(); ++i) {
        all[static_cast<std::size_t>(i)] = value(0, i);
      }
      all_gather(comm, all, limit);
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(all[static_cast<std::size_t>(i)], value(0, i)) << n << " limit " << limit;
      }
    }
  }
}

// By direct messages, and, of a tensor above their size, by MPI's own collective.
TEST_F(MpiCollectives, ARegionsSumComesEitherWayWhetherLookedForOrWaitedFor) {
  constexpr auto kMost = RegionSum::kMostDirectElements;
  const int rank_sum = comm.size() * (comm.size() - 1) / 2;
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{1000}, kMost, kMost + 5}) {
    std::vector<float> all(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i)
      all[static_cast<std::size_t>(i)] = value(comm.rank(), i);
    const auto scratch_size = RegionSum::scratch_elements(n, comm.size());
    EXPECT_EQ(scratch_size > 0, comm.size() > 1 && n <= kMost) << n;
    std::vector<float> scratch(static_cast<std::size_t>(scratch_size));
    for (const bool look : {false, true}) {
      std::vector<float> mine(static_cast<std::size_t>(own(n).count), -1);
      RegionSum sum(comm, {all, mine, scratch}, 1);
      if (look) {
        while (!sum.there()) {
        }
      } else {
        sum.wait();
      }
      for (std::int64_t i = 0; i < own(n).count; ++i) {
        const auto expected = static_cast<float>(100 * rank_sum) +
                              static_cast<float>(comm.size()) * value(0, own(n).first + i);
        ASSERT_EQ(mine[static_cast<std::size_t>(i)], expected) << i << " of " << n;
      }
    }
  }
}

TEST_F(MpiCollectives, SumsAndAveragesAreEqualOnEveryRank) {
  std::vector<double> sums = {1, static_cast<double>(comm.rank())};
  sum_over_ranks(comm, sums);
  EXPECT_EQ(sums[0], comm.size());
  EXPECT_EQ(sums[1], comm.size() * (comm.size() - 1) / 2);

  std::vector<float> means = {4, static_cast<float>(2 * comm.rank())};
  average_over_ranks(comm, means);
  EXPECT_FLOAT_EQ(means[0], 4);
  EXPECT_FLOAT_EQ(means[1], static_cast<float>(comm.size() - 1));
  average_over_ranks(comm, {});
  sum_over_ranks(comm, {});
}

TEST_F(MpiCollectives, HostShareCountsTheRanksHereAndObeysOmpNumThreads) {
  setenv("OMP_NUM_THREADS", "3,2", 1);
  const HostShare given = host_share(comm);
  EXPECT_EQ(given.ranks, comm.size());
  EXPECT_EQ(given.threads, 3);
  unsetenv("OMP_NUM_THREADS");
  EXPECT_GE(host_share(comm).threads, 1);
  setenv("OMP_NUM_THREADS", "none", 1);
  EXPECT_GE(host_share(comm).threads, 1);
}

class TickTest : public MpiCollectives {
 protected:
  TickVerdict tick_of(Tick& tick, const TickVote& vote) {
    tick.start(vote);
    return tick.finish();
  }
};

TEST_F(TickTest, SilenceIsHeardAsSuch) {
  Tick tick(comm);
  const TickVerdict verdict = tick_of(tick, {});
  EXPECT_FALSE(verdict.signal_rank || verdict.save_rank || verdict.stop_rank ||
               verdict.nonfinite_rank || verdict.failed_rank);
}

TEST_F(TickTest, WhatAnyRankRaisesEveryRankHears) {
  Tick tick(comm);
  for (int who = 0; who < comm.size(); ++who) {
    const bool me = comm.rank() == who;
    EXPECT_EQ(tick_of(tick, {.save = me}).save_rank, who);
    EXPECT_EQ(tick_of(tick, {.stop = me}).stop_rank, who);
    EXPECT_EQ(tick_of(tick, {.nonfinite = me}).nonfinite_rank, who);
    EXPECT_EQ(tick_of(tick, {.failed = me}).failed_rank, who);
    const TickVerdict verdict = tick_of(tick, {.signal = me ? 15 : 0});
    EXPECT_EQ(verdict.signal_rank, who);
    EXPECT_EQ(verdict.signal, 15);
    EXPECT_FALSE(verdict.stop_rank);
  }
}

TEST_F(TickTest, TheLowestRankIsNamed) {
  Tick tick(comm);
  const int first = comm.size() / 2;
  const bool raises = comm.rank() >= first;
  const TickVerdict verdict =
      tick_of(tick, {.signal = raises ? 10 + comm.rank() : 0, .nonfinite = raises});
  EXPECT_EQ(verdict.signal_rank, first);
  EXPECT_EQ(verdict.signal, 10 + first);
  EXPECT_EQ(verdict.nonfinite_rank, first);
}

}  // namespace
}  // namespace lockstep
