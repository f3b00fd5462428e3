#include "coordinator/deadline.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/amounts.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

std::optional<Deadline> find(const Variables& variables, bool automatic = true) {
  PreemptConfig preempt;
  preempt.deadline_auto = automatic;
  return find_deadline(preempt, [&](const std::string& name) {
    const auto found = variables.find(name);
    return found != variables.end() ? std::optional(found->second) : std::nullopt;
  });
}

TEST(FindDeadline, OwnVariableThenSlurmsThenNone) {
  EXPECT_FALSE(find({}));
  EXPECT_EQ(find({{"SLURM_JOB_END_TIME", "17"}})->at, 17);
  const auto both = find({{"SLURM_JOB_END_TIME", "17"}, {"LOCKSTEP_DEADLINE", "5"}});
  EXPECT_EQ(both->at, 5);
  EXPECT_EQ(both->from, "LOCKSTEP_DEADLINE");
  EXPECT_EQ(find({{"SLURM_JOB_END_TIME", "17"}, {"LOCKSTEP_DEADLINE", ""}})->at, 17);
  EXPECT_FALSE(find({{"LOCKSTEP_DEADLINE", "5"}}, false));
  EXPECT_FALSE(find({{"LOCKSTEP_DEADLINE", "tomorrow"}}, false));
}

TEST(FindDeadline, WhatIsNoNumberIsAnErrorThatNamesTheVariable) {
  for (const std::string text :
       {"tomorrow", "-1", "1.5", "12:30", "0x10", " 7", "9223372036854775808"}) {
    try {
      find({{"LOCKSTEP_DEADLINE", text}});
      FAIL() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidConfig);
      EXPECT_THAT(e.what(), HasSubstr("LOCKSTEP_DEADLINE is '" + text + "'"));
    }
  }
}

TEST(ObjectionToLaunch, IsThatItWouldEndAtOnce) {
  const auto objection = [](double left_s, std::int64_t grace_s = 60,
                            std::optional<double> save_s = {}) {
    PreemptConfig preempt;
    preempt.grace_seconds = grace_s;
    return objection_to_launch({0, "LOCKSTEP_DEADLINE"}, left_s, preempt, save_s).value_or("none");
  };
  EXPECT_EQ(objection(-3600),
            "the deadline is past, LOCKSTEP_DEADLINE was 60 min ago: a launch now would claim "
            "nothing and end with 75");
  EXPECT_THAT(objection(0), HasSubstr("is past"));
  EXPECT_EQ(objection(8),
            "the deadline is in 8 s (LOCKSTEP_DEADLINE): a launch now would train nothing and end "
            "with 75");
  // A save that was not measured yet counts as a quarter of what is given, and 10 s more are kept.
  EXPECT_THAT(objection(13), HasSubstr("train nothing"));
  EXPECT_EQ(objection(14), "none");
  EXPECT_THAT(objection(11, 1), HasSubstr("train nothing"));
  EXPECT_EQ(objection(12, 1), "none");
  // One that was measured counts as it is.
  EXPECT_EQ(objection(13, 60, 0.1), "none");
  EXPECT_THAT(objection(10, 60, 0.1), HasSubstr("train nothing"));
  EXPECT_THAT(objection(200, 60, 120), HasSubstr("train nothing"));
  EXPECT_EQ(objection(241, 60, 120), "none");
}

TEST(NeedsTime, OnlyWhatTrains) {
  EXPECT_TRUE(needs_time(DecisionKind::kFresh));
  EXPECT_TRUE(needs_time(DecisionKind::kRestore));
  EXPECT_FALSE(needs_time(DecisionKind::kFinished)) << "75 would requeue it for ever";
  EXPECT_FALSE(needs_time(DecisionKind::kError));
}

TEST(DurationText, IsShort) {
  EXPECT_EQ(duration_text(-5), "0 s");
  EXPECT_EQ(duration_text(119.9), "119 s");
  EXPECT_EQ(duration_text(120), "2 min");
  EXPECT_EQ(duration_text(7199), "119 min");
  EXPECT_EQ(duration_text(11520), "3 h 12 min");
  EXPECT_EQ(duration_text(1e300), "277777777777 h 46 min");
}

}  // namespace
}  // namespace lockstep
