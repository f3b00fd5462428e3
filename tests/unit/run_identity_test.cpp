#include "coordinator/run_identity.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/store_builder.h"

namespace lockstep {
namespace {

using testing::StoreBuilder;

TEST(IdentifyRun, TakesTheFirstThatIsGiven) {
  std::map<std::string, std::string> set;
  const auto environment = [&](const std::string& name) -> std::optional<std::string> {
    const auto it = set.find(name);
    return it != set.end() ? std::optional(it->second) : std::nullopt;
  };
  EXPECT_FALSE(identify_run({}, environment, "g").stable);
  EXPECT_EQ(identify_run({}, environment, "g").id, "g");
  set["SLURM_JOB_ID"] = "7";
  EXPECT_EQ(identify_run({}, environment, "g").id, "slurm-7");
  EXPECT_EQ(identify_run({}, environment, "g").restart_count, 0);
  set["SLURM_ARRAY_JOB_ID"] = "5";
  set["SLURM_ARRAY_TASK_ID"] = "3";
  set["SLURM_RESTART_COUNT"] = "2";
  EXPECT_EQ(identify_run({}, environment, "g").id, "slurm-5_3");
  EXPECT_EQ(identify_run({}, environment, "g").restart_count, 2);
  set["LOCKSTEP_RUN_ID"] = "chain";
  EXPECT_EQ(identify_run({}, environment, "g").id, "chain");
  EXPECT_EQ(identify_run({}, environment, "g").job, "5_3") << "every launch of the job records it";
  EXPECT_EQ(identify_run("mine", environment, "g").id, "mine");
  set["SLURM_RESTART_COUNT"] = "two";
  EXPECT_THROW(identify_run("mine", environment, "g"), Error);
}

TEST(IdentifyRun, RefusesWhatCouldNotStandInARecordOrALine) {
  for (const char* name : {"LOCKSTEP_RUN_ID", "SLURM_JOB_ID"}) {
    for (const auto& value : {std::string("a\nb"), std::string("\xff"), std::string("a\x1b[1m"),
                              std::string(4097, 'x')}) {
      const auto environment = [&](const std::string& asked) {
        return asked == name ? std::optional(value) : std::nullopt;
      };
      try {
        identify_run({}, environment, "generated");
        ADD_FAILURE() << name << " took " << value;
      } catch (const Error& e) {
        EXPECT_EQ(exit_code(e.code()), 2);
        EXPECT_EQ(std::string(e.what()).rfind(name, 0), 0U) << e.what();
      }
    }
  }
}

TEST(AttemptsOf, ARestartCountThatCannotBeReadIsBetweenThoseAroundIt) {
  struct Case {
    const char* what;
    std::vector<std::int64_t> counts;  // -1: its claim is damaged
    std::int64_t launch;
    std::vector<std::int64_t> mine;
  };
  const std::vector<Case> cases = {
      {"requeued", {0, -1, 2}, 3, {1, 2, 3}},
      {"the last one", {0, -1}, 2, {1, 2}},
      {"the first one", {-1, 1}, 2, {1, 2}},
      {"typed anew", {0, -1}, 0, {}},
      {"alone, typed anew", {-1}, 0, {}},
      {"alone, requeued", {-1}, 1, {1}},
      {"of the series before", {0, 1, -1, 1}, 2, {4}},
      {"typed anew behind it", {0, 1, -1, 0}, 1, {4}},
      {"two of them", {0, -1, -1}, 3, {1, 2, 3}},
  };
  for (const auto& one : cases) {
    StoreBuilder store;
    for (const auto count : one.counts) {
      store.attempt("slurm-7", {}).restarts(std::max<std::int64_t>(0, count)).checkpoint(5);
      if (count < 0) store.claim_damaged();
    }
    RunIdentity run{"slurm-7", true, true, "7", one.launch};
    std::vector<std::int64_t> mine;
    const StoreView view = store;
    for (const auto* attempt : attempts_of(view, run))
      mine.push_back(attempt->number);
    EXPECT_EQ(mine, one.mine) << one.what;
  }
}

}  // namespace
}  // namespace lockstep
