#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/cli/asked_job.h"

namespace lockstep::cli {
namespace {

struct Row {
  std::string what;
  Asked asked;
  AskedJob before;
  AskedJob now;
  bool saved;
  std::string text;
};

TEST(AskedJob, TellsWhatItIsAt) {
  const AskedJob idle{.taken = false, .iteration = 20, .last_committed = 10};
  const AskedJob busy{.taken = false, .iteration = 20, .last_committed = 10, .being_saved = 19};
  const std::vector<Row> rows = {
      {"not taken", Asked::kSave, idle, idle, false,
       "at iteration 20: the request waits for its next heartbeat"},
      {"taken",
       Asked::kSave,
       idle,
       {.taken = true, .iteration = 24, .last_committed = 10},
       false,
       "at iteration 24: it is about to save"},
      {"taken, to stop",
       Asked::kStop,
       idle,
       {.taken = true, .iteration = 24, .last_committed = 10},
       false,
       "at iteration 24: it is about to save and end"},
      {"saving",
       Asked::kSave,
       idle,
       {.taken = true, .iteration = 24, .last_committed = 10, .being_saved = 25},
       false,
       "at iteration 24: saving iteration 25"},
      {"a save that had begun before",
       Asked::kSave,
       busy,
       {.taken = true, .iteration = 24, .last_committed = 10, .being_saved = 19},
       false,
       "at iteration 24: it is about to save"},
      {"and that is committed",
       Asked::kSave,
       busy,
       {.taken = true, .iteration = 24, .last_committed = 19, .being_saved = 25},
       false,
       "at iteration 24: saving iteration 25"},
      {"saved",
       Asked::kSave,
       idle,
       {.taken = true, .iteration = 26, .last_committed = 25},
       true,
       "at iteration 26: it is about to save"},
      {"saved, and about to end",
       Asked::kStop,
       idle,
       {.taken = true, .iteration = 25, .last_committed = 25},
       true,
       "at iteration 25: 25 is committed, it ends"},
      {"nothing was ever committed",
       Asked::kStop,
       {},
       {.taken = true},
       false,
       "at iteration 0: it is about to save and end"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(saved_since(row.before, row.now), row.saved) << row.what;
    EXPECT_EQ(wait_text(3, row.asked, row.before, row.now), "attempt 3 " + row.text) << row.what;
  }
}

}  // namespace
}  // namespace lockstep::cli
