#include <vector>

#include <gtest/gtest.h>

#include "worker/saver.h"

namespace lockstep {
namespace {

TEST(SaveChoice, IsMadeByThisTable) {
  struct Row {
    SaveSituation situation;
    SaveChoice choice;
  };
  using enum SaveChoice;
  const std::vector<Row> rows = {
      {{.at_interval = false, .asked = false, .busy = false, .skips = false}, kNothing},
      {{.at_interval = false, .asked = false, .busy = false, .skips = true}, kNothing},
      {{.at_interval = false, .asked = false, .busy = true, .skips = false}, kNothing},
      {{.at_interval = false, .asked = false, .busy = true, .skips = true}, kNothing},
      {{.at_interval = true, .asked = false, .busy = false, .skips = false}, kSave},
      {{.at_interval = true, .asked = false, .busy = false, .skips = true}, kSave},
      {{.at_interval = true, .asked = false, .busy = true, .skips = false}, kSave},
      {{.at_interval = true, .asked = false, .busy = true, .skips = true}, kSkip},
      {{.at_interval = false, .asked = true, .busy = false, .skips = false}, kSave},
      {{.at_interval = false, .asked = true, .busy = false, .skips = true}, kSave},
      {{.at_interval = false, .asked = true, .busy = true, .skips = false}, kSave},
      {{.at_interval = false, .asked = true, .busy = true, .skips = true}, kNothing},
      {{.at_interval = true, .asked = true, .busy = false, .skips = false}, kSave},
      {{.at_interval = true, .asked = true, .busy = false, .skips = true}, kSave},
      {{.at_interval = true, .asked = true, .busy = true, .skips = false}, kSave},
      {{.at_interval = true, .asked = true, .busy = true, .skips = true}, kSkip},
  };
  for (const auto& row : rows)
    EXPECT_EQ(choose_save(row.situation), row.choice) << &row - rows.data();
}

}  // namespace
}  // namespace lockstep
