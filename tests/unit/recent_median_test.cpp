#include "worker/recent_median.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(RecentMedian, OfNothingIsZero) {
  EXPECT_EQ(RecentMedian().value(), 0);
}

TEST(RecentMedian, OutliersDoNotMoveIt) {
  RecentMedian median;
  median.add(100);
  EXPECT_EQ(median.value(), 100);
  for (int i = 0; i < 6; ++i)
    median.add(2);
  median.add(0);
  EXPECT_EQ(median.value(), 2);
}

TEST(RecentMedian, ForgetsWhatIsLongPast) {
  RecentMedian median;
  for (int i = 0; i < 1000; ++i)
    median.add(50);
  for (int i = 0; i < 8; ++i)
    median.add(3);
  EXPECT_EQ(median.value(), 3) << "8 of the last 15";
}

}  // namespace
}  // namespace lockstep
