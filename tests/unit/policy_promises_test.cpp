#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/policy.h"
#include "tests/support/store_builder.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

constexpr auto kBad = CheckpointState::kDamaged;

Request bounded(std::int64_t most) {
  auto request = latest();
  request.max_lost_iterations = most;
  return request;
}
Request latest_of(std::int64_t attempt) {
  auto request = latest();
  request.attempt = attempt;
  return request;
}

std::string said(const DecisionRecord& record) {
  std::string text = record.error.value_or("");
  for (const auto& reason : record.reasons)
    text += "\n" + reason;
  return text;
}

// Every store of two attempts with up to two checkpoints each, in every state, under every request:
// what must hold whatever the table says.
class EveryStore : public ::testing::Test {
 protected:
  static constexpr int kStates = 4;  // none, good, damaged, not finite

  static StoreView store_of(int code, int parent) {
    StoreBuilder builder;
    builder.attempt("a", fresh());
    for (std::int64_t at : {10, 20}) {
      if (code % kStates > 0)
        builder.checkpoint(at, static_cast<CheckpointState>(code % kStates - 1));
      code /= kStates;
    }
    builder.attempt("b", latest(),
                    parent > 0 ? std::optional(CheckpointId{1, parent}) : std::nullopt);
    for (std::int64_t at : {20, 30}) {
      if (code % kStates > 0)
        builder.checkpoint(at, static_cast<CheckpointState>(code % kStates - 1));
      code /= kStates;
    }
    return builder;
  }

  static std::vector<Request> requests() {
    std::vector<Request> all = {Request{}, fresh(), latest(), automatic()};
    for (std::int64_t at : {0, 10, 20, 30}) {
      all.push_back(iteration(at));
      all.push_back(iteration(at, 1));
    }
    for (std::int64_t most : {0, 10})
      all.push_back(bounded(most));
    for (std::int64_t attempt : {1, 2, 3})
      all.push_back(latest_of(attempt));
    return all;
  }

  static void check_invariants(const StoreView& store, const LaunchFacts& launch) {
    const auto ruling = rule(store, launch);
    const auto& record = ruling.record;
    const auto& request = launch.request;
    ASSERT_FALSE(ruling.examine);
    EXPECT_EQ(to_json(record), to_json(rule(store, launch).record)) << "a function";
    EXPECT_EQ(record.kind == DecisionKind::kError, record.exit_code != 0);
    EXPECT_EQ(record.kind == DecisionKind::kError, record.error.has_value());
    EXPECT_EQ(record.kind == DecisionKind::kRestore, record.parent.has_value());
    EXPECT_TRUE(record.error || !record.reasons.empty());
    if (record.kind == DecisionKind::kFresh) {
      EXPECT_TRUE(store.checkpoints.empty() || request.mode == RestoreMode::kFresh)
          << "never a silent fresh start";
      return;
    }
    if (!record.parent) return;
    const auto& chosen = record.parent->checkpoint;
    const auto* view = store.checkpoint(chosen);
    ASSERT_NE(view, nullptr);
    EXPECT_NE(view->examined->state, kBad);
    EXPECT_TRUE(request.present) << "never without being asked";
    if (request.mode == RestoreMode::kIteration) {
      EXPECT_EQ(chosen.iteration, *request.iteration) << "never a substitute";
      if (request.attempt) {
        EXPECT_LE(chosen.attempt, *request.attempt);
      }
    } else {
      EXPECT_EQ(view->examined->state, CheckpointState::kGood);
    }
    for (const auto& rejected : record.rejected) {
      EXPECT_EQ(store.checkpoint(rejected.checkpoint)->examined->state, kBad) << "only damage";
      EXPECT_THAT(said(record), HasSubstr(to_text(rejected.checkpoint))) << "never silently";
      if (request.max_lost_iterations) {
        EXPECT_LE(rejected.checkpoint.iteration - chosen.iteration, *request.max_lost_iterations);
      }
    }
  }
};

TEST_F(EveryStore, UnderEveryRequestKeepsThePromises) {
  int seen = 0;
  for (int code = 0; code < kStates * kStates * kStates * kStates; ++code)
    for (const int parent : {0, 10, 20})
      for (const auto& request : requests()) {
        check_invariants(store_of(code, parent), launch_of(request));
        ++seen;
        if (HasFailure()) {
          FAIL() << "store " << code << ", parent " << parent << ", " << canonical_json(request);
        }
      }
  EXPECT_EQ(seen, 256 * 3 * 17);
}

}  // namespace
}  // namespace lockstep
