#include "coordinator/finished.h"

#include <gtest/gtest.h>

#include "tests/support/decision_rows.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)

TEST(Rule, MaxEpochsEndsARun) {
  auto launch = launch_of(latest());
  launch.max_iterations.reset();
  launch.max_epochs = 3;
  EXPECT_EQ(rule(plain(), launch).record.kind, DecisionKind::kFinished);  // 300 of 100 samples
  launch.max_epochs = 4;
  EXPECT_EQ(rule(plain(), launch).record.kind, DecisionKind::kRestore);
}

TEST(Rule, OfTwoLimitsTheOneThatIsReachedIsNamed) {
  auto launch = launch_of(latest(), "", 500);
  launch.max_epochs = 3;
  EXPECT_EQ(rule(plain(), launch).record.reasons.front(),
            "1@30 has reached run.max_epochs 3: nothing to train");
  launch = launch_of(latest(), "", 30);
  launch.max_epochs = 50;
  EXPECT_EQ(rule(plain(), launch).record.reasons.front(),
            "1@30 has reached run.max_iterations 30: nothing to train");
}

}  // namespace
}  // namespace lockstep
