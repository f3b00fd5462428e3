#include "common/partition.h"

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

#include "common/error.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Partition, PartsAscendDifferByAtMostOneAndAreAllTogether) {
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, std::int64_t{7},
                               std::int64_t{100}, std::int64_t{4'294'967'297}, kMax - 1, kMax}) {
    for (std::int64_t count = 1; count <= 33; ++count) {
      std::int64_t end = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        const Range part = part_of(n, {.index = i, .count = count});
        EXPECT_EQ(part.first, end);
        EXPECT_TRUE(part.count == n / count || part.count == n / count + 1) << n << " " << count;
        end = part.end();
      }
      EXPECT_EQ(end, n);
    }
  }
}

TEST(Partition, TheHolderOfAThingIsThePartThatContainsIt) {
  for (std::int64_t n = 1; n <= 40; ++n) {
    for (std::int64_t count = 1; count <= 50; ++count) {
      for (std::int64_t at = 0; at < n; ++at) {
        const Range part = part_of(n, {.index = part_holding(n, count, at), .count = count});
        EXPECT_TRUE(part.first <= at && at < part.end()) << n << " " << count << " " << at;
      }
    }
  }
}

TEST(Partition, IsExactAtTheEndsOfInt64) {
  EXPECT_EQ(part_of(kMax, {.index = kMax - 1, .count = kMax}),
            (Range{.first = kMax - 1, .count = 1}));
  EXPECT_EQ(part_of(1, {.index = kMax - 1, .count = kMax}), (Range{.first = 0, .count = 1}));
  EXPECT_EQ(part_of(kMax, {.index = 1, .count = 2}),
            (Range{.first = kMax / 2, .count = kMax / 2 + 1}));
  EXPECT_EQ(part_holding(kMax, kMax, kMax - 1), kMax - 1);
  EXPECT_EQ(part_holding(kMax, 3, 0), 0);
  EXPECT_EQ(part_holding(kMax, 3, kMax - 1), 2);
}

TEST(Partition, PartsThatDoNotExistAreABug) {
  EXPECT_THROW(part_of(-1, {.index = 0, .count = 1}), Error);
  EXPECT_THROW(part_of(1, {.index = 0, .count = 0}), Error);
  EXPECT_THROW(part_of(1, {.index = 1, .count = 1}), Error);
  EXPECT_THROW(part_of(1, {.index = -1, .count = 1}), Error);
  EXPECT_THROW(part_holding(1, 1, 1), Error);
  EXPECT_THROW(part_holding(1, 1, -1), Error);
  EXPECT_THROW(part_holding(1, 0, 0), Error);
}

}  // namespace
}  // namespace lockstep
