#include "worker/stop_time.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(RecentLongest, ForgetsWhatIsFiveEntriesOld) {
  RecentLongest longest;
  EXPECT_FALSE(longest.value());
  longest.add(9);
  longest.add(2);
  EXPECT_EQ(longest.value(), 9);
  for (const double seconds : {3, 1, 1})
    longest.add(seconds);
  EXPECT_EQ(longest.value(), 3);
}

struct Row {
  const char* what;
  TimeLeft left;
  bool due;
};

TEST(DeadlineDue, ByTheSaveThatWasMeasuredWithRoomToSpare) {
  const Row rows[] = {
      {"a short save needs 10 s more", {12.1, 3600, 2, 0, 60}, false},
      {"not a moment less", {12, 3600, 2, 0, 60}, true},
      {"a long save needs its time again", {80.1, 3600, 40, 0, 60}, false},
      {"which is more than 10 s", {80, 3600, 40, 0, 60}, true},
      {"the next iteration, and one more", {31.9, 3600, 2, 10, 60}, true},
      {"unknown: as long as the grace time", {120, 3600, {}, 0, 60}, true},
      {"not longer", {120.1, 3600, {}, 0, 60}, false},
      {"unknown in a short job: a quarter of it", {15.1, 20, {}, 0, 60}, false},
      {"and 10 s", {15, 20, {}, 0, 60}, true},
      {"past", {-1, 3600, 2, 0, 60}, true},
      {"a job that begins behind its deadline", {-1, -1, {}, 0, 60}, true},
  };
  for (const auto& row : rows)
    EXPECT_EQ(deadline_due(row.left), row.due) << row.what;
}

TEST(DropMargin, IsFiveSecondsOrHalfOfLess) {
  EXPECT_EQ(drop_margin(60), 5);
  EXPECT_EQ(drop_margin(10), 5);
  EXPECT_EQ(drop_margin(4), 2);
  EXPECT_EQ(drop_margin(0), 0);
}

}  // namespace
}  // namespace lockstep
