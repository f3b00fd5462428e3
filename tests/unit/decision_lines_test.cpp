#include "coordinator/daemon/decision_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/store_builder.h"

namespace lockstep {
namespace {

using testing::automatic;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StoreBuilder;

LaunchFacts launch_of(const std::string& run) {
  LaunchFacts launch;
  launch.run.id = run;
  launch.store_path = "/s";
  return launch;
}

DecisionRecord restore_of(const CheckpointId& id) {
  DecisionRecord record;
  record.kind = DecisionKind::kRestore;
  record.parent = Parent{id, std::nullopt};
  record.reasons = {"so it is"};
  return record;
}

// Attempt 1 committed 1@40 and came to 57.
StoreView crashed() {
  StoreView store = StoreBuilder().attempt("r", automatic()).checkpoint(20).checkpoint(40);
  store.attempts[0].heartbeat = Heartbeat{9, 57, 40};
  return store;
}

std::string lost(const StoreView& store, const CheckpointId& parent, const std::string& run = "r",
                 bool passed_over = false) {
  auto record = restore_of(parent);
  if (passed_over) record.rejected.push_back({{1, 40}, "damaged"});
  const auto lines = decision_lines(record, store, launch_of(run), 2);
  return lines.size() > 2 ? lines.back() : "";
}

TEST(DecisionLines, SayWhatItIsAndWhy) {
  EXPECT_THAT(
      decision_lines(restore_of({1, 57}), crashed(), launch_of("r"), 2),
      ElementsAre("decision: restore 1@57, as attempt 2 of run r, store /s", "  because so it is"));
  EXPECT_THAT(decision_lines(restore_of({1, 40}), crashed(), launch_of("r"), std::nullopt),
              ElementsAre("decision: restore 1@40, store /s", "  because so it is"));
}

TEST(DecisionLines, SayWhatIsTrainedAgainAfterACrash) {
  EXPECT_EQ(lost(crashed(), {1, 40}),
            "  attempt 1 had come to iteration 57: what it trained after 1@40 is trained again, 17 "
            "iterations");
  EXPECT_THAT(lost(crashed(), {1, 20}, "r", true), HasSubstr("37 iterations"));
  EXPECT_EQ(lost(crashed(), {1, 20}), "") << "somebody went back on purpose";
  EXPECT_EQ(lost(crashed(), {1, 40}, "other"), "") << "another run's work goes on elsewhere";
  auto saved = crashed();
  saved.attempts[0].heartbeat->iteration = 40;
  EXPECT_EQ(lost(saved, {1, 40}), "");
  auto refused = crashed();
  refused.attempts[0].heartbeat.reset();
  EXPECT_EQ(lost(refused, {1, 40}), "");
}

}  // namespace
}  // namespace lockstep
