#include "worker/spread.h"

#include <climits>
#include <cstddef>
#include <vector>

#include <gtest/gtest.h>

#include "common/comm.h"
#include "common/partition.h"

namespace lockstep {
namespace {

std::byte value_at(std::size_t i) {
  return static_cast<std::byte>(i * 37 % 251);
}

TEST(SpreadParts, GivesEveryRankEveryElementInOnePieceOrInChunks) {
  const auto comm = Comm::duplicate(MPI_COMM_WORLD);
  for (const std::int64_t count : {0, 1, 2, 3, 5, 64, 1001})
    for (const std::size_t width : {1, 2, 4, 8})
      for (const std::int64_t chunk : {1, 7, 1000, INT_MAX}) {
        std::vector<std::byte> data(static_cast<std::size_t>(count) * width, std::byte{255});
        std::vector<std::byte> expected(data.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
          expected[i] = value_at(i);
        const auto part = part_of(count, {comm.rank(), comm.size()});
        for (auto i = static_cast<std::size_t>(part.first) * width;
             i < static_cast<std::size_t>(part.end()) * width; ++i)
          data[i] = expected[i];
        spread_parts(comm, {data.data(), count, width}, chunk);
        EXPECT_EQ(data, expected) << count << " of " << width << " by " << chunk;
      }
}

TEST(GatherRecords, GivesRankZeroAllInTheOrderOfRanks) {
  const auto comm = Comm::duplicate(MPI_COMM_WORLD);
  const std::vector<std::byte> mine(48, static_cast<std::byte>(comm.rank() + 1));
  const auto all = gather_records(comm, mine);
  EXPECT_EQ(all.size(), comm.is_root() ? 48 * static_cast<std::size_t>(comm.size()) : 0U);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i], static_cast<std::byte>(i / 48 + 1));
}

}  // namespace
}  // namespace lockstep
