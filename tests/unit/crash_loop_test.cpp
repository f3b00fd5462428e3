// Crash loops: the run's last three attempts made this very decision and crashed at once.

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/decision_rows.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

StoreBuilder looping() {
  auto store = plain();
  for (int i = 0; i < 3; ++i)
    store.attempt("r", latest(), CheckpointId{1, 30}).beat(30).outcome(OutcomeKind::kFailed, 3);
  return store;
}

TEST(Rule, ThreeCrashesAtTheSameStartAreALoop) {
  const auto record = rule(looping(), launch_of(latest(), "r")).record;
  EXPECT_EQ(record.exit_code, 2);
  EXPECT_THAT(*record.error, HasSubstr("n1"));
  EXPECT_THAT(*record.error, HasSubstr("1@30"));
}

TEST(Rule, ACrashLoopIsLiftedByAnyChange) {
  const auto decides = [](const LaunchFacts& launch) {
    return rule(looping(), launch).record.kind == DecisionKind::kRestore;
  };
  EXPECT_TRUE(decides(launch_of(iteration(30, 1), "r")));
  EXPECT_TRUE(decides(launch_of(latest(), "s")));
  auto launch = launch_of(latest(), "r");
  launch.hosts = {"n2"};
  EXPECT_TRUE(decides(launch));
  launch = launch_of(latest(), "r");
  launch.build = "other";
  EXPECT_TRUE(decides(launch));
  launch = launch_of(latest(), "r");
  launch.world_size = 3;
  EXPECT_TRUE(decides(launch));
  launch = launch_of(latest(), "r");
  launch.config_digest = "other";
  EXPECT_TRUE(decides(launch));
}

TEST(Rule, ACrashLoopIsLiftedOnlyWhereNoneOfItsHostsTakesPart) {
  StoreView store = looping();
  store.attempts[1].claim->hosts = {"n1", "n2"};
  store.attempts[2].claim->hosts = {"n3", "n4"};
  store.attempts[3].claim->hosts = {"n5", "n6"};
  auto launch = launch_of(latest(), "r");
  for (const std::string host : {"n1", "n2", "n3", "n4", "n5", "n6"}) {
    launch.hosts = {"n7", host};
    const auto record = rule(store, launch).record;
    ASSERT_EQ(record.kind, DecisionKind::kError) << host;
    EXPECT_THAT(*record.error, HasSubstr("n3, n4"));
  }
  launch.hosts = {"n7", "n8"};
  EXPECT_EQ(rule(store, launch).record.kind, DecisionKind::kRestore);
}

// What a crash loop's error says to do, and whether that makes the same start.
struct WayOut {
  std::string name;
  Request request;
  std::optional<Request> section;  // nullopt: another run.id
  std::string says;
  StoreBuilder store = plain();
};

std::vector<WayOut> ways_out() {
  const std::string run_id = "another run.id applies the restore section anew";
  const auto with = [](Request request, auto member, auto value) {
    request.*member = value;
    return request;
  };
  const auto from = [&](const Request& request) {
    return with(request, &Request::from, std::string("/elsewhere"));
  };
  const auto part = [&](const Request& request) {
    return with(request, &Request::model_only, true);
  };
  const std::vector<std::string> head = {"model.head.*"};
  return {
      {"latest", latest(), iteration(30, 1), "restore: 1@30 loses nothing"},
      {"named without its attempt", iteration(20), iteration(20, 1), "restore: 1@20 loses nothing"},
      {"named as the way out would be", iteration(20, 1), {}, run_id},
      {"no section", {}, fresh(), "restore: fresh loses nothing", StoreBuilder()},
      {"auto", automatic(), fresh(), "restore: fresh loses nothing", StoreBuilder()},
      {"fresh", fresh(), {}, run_id},
      {"weights alone", part(iteration(20)), {}, run_id},
      {"without some tensors", with(latest(), &Request::exclude, head), {}, run_id},
      {"behind some samples", with(latest(), &Request::skip_samples, 100), {}, run_id},
      {"from elsewhere", from(latest()), {}, run_id},
      {"named elsewhere", from(iteration(10)), {}, run_id},
      {"weights from elsewhere", part(from(latest())), {}, run_id},
      {"carried on after weights from elsewhere", part(from(latest())), iteration(15, 2),
       "restore: 2@15 loses nothing", plain().attempt("r", part(from(latest()))).checkpoint(15)},
  };
}

TEST(Rule, ACrashLoopsAdviceLiftsItAndMakesTheSameStart) {
  SourceView elsewhere;
  elsewhere.path = "/elsewhere";
  elsewhere.store = StoreBuilder().attempt("o", {}).checkpoint(10);
  elsewhere.store.id = "other";
  for (auto& row : ways_out()) {
    SCOPED_TRACE(row.name);
    auto launch = launch_of(row.request, "r");
    const auto decide = [&] { return rule(row.store, launch, &elsewhere).record; };
    const auto start = decide();
    for (int i = 0; i < 3; ++i) {
      const auto record = decide();
      ASSERT_NE(record.kind, DecisionKind::kError) << all_text(record);
      row.store.attempt("r", row.request).last().decision = record;
      row.store.last().heartbeat.reset();
    }
    EXPECT_THAT(all_text(decide()), HasSubstr(row.says));
    EXPECT_THAT(all_text(decide()), HasSubstr("crash loop"));
    if (row.section) launch.request = *row.section;
    if (!row.section) launch.run.id = "s";
    const auto record = decide();
    EXPECT_EQ(record.kind, start.kind) << all_text(record);
    EXPECT_EQ(record.parent, start.parent);
    EXPECT_EQ(record.source, start.source);
  }
}

TEST(Rule, ProgressOrAPreemptionIsNoCrashLoop) {
  auto store = looping();
  store.beat(31);
  EXPECT_EQ(rule(store, launch_of(latest(), "r")).record.kind, DecisionKind::kRestore);
  store = looping();
  store.outcome(OutcomeKind::kPreempted, 75);
  EXPECT_EQ(rule(store, launch_of(latest(), "r")).record.kind, DecisionKind::kRestore);
}

}  // namespace
}  // namespace lockstep
