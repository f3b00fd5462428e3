#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/store_builder.h"

namespace lockstep::testing {

using ::testing::HasSubstr;

constexpr auto kBad = CheckpointState::kDamaged;
constexpr auto kNan = CheckpointState::kNotFinite;

inline Request with_lost(Request request, std::int64_t most) {
  request.max_lost_iterations = most;
  return request;
}
inline Request of_attempt(Request request, std::int64_t attempt) {
  request.attempt = attempt;
  return request;
}
inline Request always(Request request) {
  request.once = false;
  return request;
}

// A row of the decision table: a store, a launch, and what must be decided.
struct Row {
  std::string name;
  StoreView store;
  LaunchFacts launch;
  DecisionKind kind;
  std::optional<CheckpointId> parent;
  int exit_code = 0;
  std::vector<std::string> facts = {};  // each must stand in the reasons or the error
};

inline std::string all_text(const DecisionRecord& record) {
  std::string text = record.error.value_or("");
  for (const auto& reason : record.reasons)
    text += "\n" + reason;
  return text;
}

inline StoreBuilder plain() {  // attempt 1 of run a: 10, 20, 30
  return StoreBuilder().attempt("a", Request{}).checkpoint(10).checkpoint(20).checkpoint(30);
}
inline StoreBuilder branched() {  // attempt 2 went back to 1@20 and made 25, 35
  return plain().attempt("b", iteration(20), CheckpointId{1, 20}).checkpoint(25).checkpoint(35);
}

inline StoreView absent() {
  return {};
}

inline void check(const Row& row) {
  SCOPED_TRACE(row.name);
  const auto ruling = rule(row.store, row.launch);
  ASSERT_FALSE(ruling.examine);
  const auto& record = ruling.record;
  const auto text = all_text(record);
  EXPECT_EQ(to_text(record.kind), to_text(row.kind)) << text;
  EXPECT_EQ(record.exit_code, row.exit_code);
  EXPECT_EQ(record.parent ? to_text(record.parent->checkpoint) : "none",
            row.parent ? to_text(*row.parent) : "none")
      << text;
  for (const auto& fact : row.facts)
    EXPECT_THAT(text, HasSubstr(fact));
}

}  // namespace lockstep::testing
