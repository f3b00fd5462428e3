#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cli/progress_bar.h"

namespace lockstep::cli {
namespace {

TEST(ProgressText, SaysHowMuchHowFastAndHowLongStill) {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  struct Row {
    Progress progress;
    std::size_t columns;
    const char* text;
  };
  const std::vector<Row> rows = {
      {{"verifying", Unit::kBytes, kGiB, 2 * kGiB, 4, 0},
       0,
       "verifying  [###############---------------]   50 %  1.0 GiB of 2.0 GiB  256.0 MiB/s  "
       "4 s left"},
      {{"opening files", Unit::kThings, 2500, 10000, 5, 0},
       60,
       "opening files   25 %  2500 of 10000  500/s  15 s left"},
      {{"opening files", Unit::kThings, 2500, 10000, 5, 0},
       65,
       "opening files  [##------]   25 %  2500 of 10000  500/s  15 s left"},
      {{"deleting", Unit::kThings, 1, 3, 2, 0}, 30, "deleting   33 %  1 of 3  0...."},
      {{"deleting", Unit::kThings, 0, 3, 2, 0},
       0,
       "deleting  [------------------------------]    0 %  0 of 3  0.0/s"},
      {{"deleting", Unit::kThings, 5, 3, 1, 0}, 40, "deleting  100 %  3 of 3  5.0/s  0 s left"},
      {{"verifying", Unit::kBytes, 2048, 0, 1, 0}, 0, "verifying  2.0 KiB  2.0 KiB/s"},
      {{"verifying", Unit::kBytes, 0, 0, 0, 0}, 0, "verifying  0 B  0 B/s"},
      {{"attempt 1", Unit::kThings, 300, 500, 2, 100},
       0,
       "attempt 1  [##################------------]   60 %  300 of 500  100/s  2 s left"},
      {{"attempt 1: saving", Unit::kSeconds, 0, 0, 12, 0}, 0, "attempt 1: saving  12 s"},
      {{"attempt 1: saving", Unit::kSeconds, 0, 30, 12, 0},
       0,
       "attempt 1: saving  12 s, at most 18 s more"},
      {{"attempt 1: saving", Unit::kSeconds, 0, 30, 31, 0}, 0, "attempt 1: saving  31 s"},
      {{"attempt 1: saving", Unit::kSeconds, 0, 30, 12, 0}, 20, "attempt 1: saving..."},
  };
  for (const auto& row : rows)
    EXPECT_EQ(progress_text(row.progress, row.columns), row.text);
}

}  // namespace
}  // namespace lockstep::cli
