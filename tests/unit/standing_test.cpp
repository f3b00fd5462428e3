#include "coordinator/standing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/best.h"
#include "coordinator/lineage.h"
#include "coordinator/pins.h"
#include "tests/support/store_builder.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Standing, DamageComesFirstThenFinitenessThenLineage) {
  Examined found;
  EXPECT_EQ(standing_of(found, true), Standing::kGood);
  EXPECT_EQ(standing_of(found, false), Standing::kAbandoned);
  found.state = CheckpointState::kNotFinite;
  EXPECT_EQ(standing_of(found, true), Standing::kNotFinite);
  EXPECT_EQ(standing_of(found, false), Standing::kNotFinite);
  found.state = CheckpointState::kDamaged;
  EXPECT_EQ(standing_of(found, false), Standing::kDamaged);
  EXPECT_TRUE(is_eligible(Standing::kGood));
  for (const auto other : {Standing::kAbandoned, Standing::kDamaged, Standing::kNotFinite})
    EXPECT_FALSE(is_eligible(other));
}

TEST(OutcomeText, WithoutAnOutcomeItSaysWhatThisHostCanTell) {
  AttemptView attempt;
  EXPECT_EQ(outcome_text(attempt, LocalSight::kThere), "running");
  EXPECT_EQ(outcome_text(attempt, LocalSight::kGone), "crashed");
  EXPECT_EQ(outcome_text(attempt, LocalSight::kElsewhere), "running or crashed");
  attempt.outcome = Outcome{OutcomeKind::kPreempted, 75, {}, {}, {}};
  EXPECT_EQ(outcome_text(attempt, LocalSight::kGone), "preempted");
}

TEST(OriginText, SaysWhereAnAttemptStarted) {
  StoreBuilder builder;
  builder.attempt("a", fresh()).checkpoint(10).attempt("a", latest(), CheckpointId{1, 10});
  StoreView store = builder;
  EXPECT_EQ(origin_text(store.attempts[0]), "-");
  EXPECT_EQ(origin_text(store.attempts[1]), "1@10");
  auto& decision = *store.attempts[1].decision;
  decision.parent->store = "5e";
  EXPECT_EQ(origin_text(store.attempts[1]), "1@10 of store 5e");
  decision.parent->store = "";
  EXPECT_EQ(origin_text(store.attempts[1]), "1@10 of a loose folder");
  decision.parent.reset();
  decision.source = "w.safetensors";
  EXPECT_EQ(origin_text(store.attempts[1]), "weights of w.safetensors");
  store.attempts[1].decision.reset();
  EXPECT_EQ(origin_text(store.attempts[1]), "?");
}

TEST(NextSave, IsAtAnIterationOrSoManyMinutesAfterTheLast) {
  AttemptView attempt;
  attempt.claim = Claim{};
  attempt.heartbeat = Heartbeat{};
  attempt.heartbeat->iteration = 200;
  const auto next = [&](const std::string& config) {
    attempt.claim->config = config;
    return next_save(attempt);
  };
  const auto plain = next(R"({"checkpoint":{"interval":100,"minutes":null},"run":{}})");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->iteration, 300);
  EXPECT_EQ(or_earlier_text(*plain), "");
  const auto earlier =
      next(R"({"checkpoint":{"interval":500,"minutes":2.5},"run":{"max_iterations":450}})");
  ASSERT_TRUE(earlier);
  EXPECT_EQ(earlier->iteration, 450) << "the last one";
  EXPECT_EQ(or_earlier_text(*earlier), ", or 2 min after the last");
  EXPECT_FALSE(next("{}"));
  attempt.outcome = Outcome{};
  EXPECT_FALSE(next(R"({"checkpoint":{"interval":100}})"));
}

TEST(DamagedRecords, AreNamedByTheirPlaceInTheStore) {
  StoreBuilder builder;
  builder.attempt("a", fresh()).decision_damaged();
  const auto found = damaged_records(builder);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].file, "attempts/0001/decision.json");
  EXPECT_EQ(found[0].why, "digest is wrong");
}

// 1: 10 20 30; 2 from 1@20: 30 40; 3 from 2@30: nothing yet.
StoreView forked() {
  StoreBuilder builder;
  builder.attempt("a", fresh()).checkpoint(10).checkpoint(20).checkpoint(30);
  builder.attempt("a", latest(), CheckpointId{1, 20}).checkpoint(30).checkpoint(40);
  builder.attempt("a", latest(), CheckpointId{2, 30});
  return builder;
}

TEST(PreviousOf, FollowsTheLineageAcrossAttemptsAndHoles) {
  auto store = forked();
  EXPECT_EQ(previous_of(store, {2, 40}), (CheckpointId{2, 30}));
  EXPECT_EQ(previous_of(store, {2, 30}), (CheckpointId{1, 20}));
  EXPECT_EQ(previous_of(store, {1, 10}), std::nullopt);
  std::erase_if(store.checkpoints, [](const CheckpointView& one) {
    return one.id == CheckpointId{1, 20};
  });
  EXPECT_EQ(previous_of(store, {2, 30}), (CheckpointId{1, 10})) << "what is left before it";
}

TEST(Abandoned, IsWhatTheNewestLineageDoesNotHold) {
  EXPECT_THAT(abandoned(forked()), ElementsAre(CheckpointId{2, 40}, CheckpointId{1, 30}));
}

TEST(KeepBestOf, ReadsTheAttemptsConfigurationAlsoOfAnotherBuild) {
  AttemptView attempt;
  EXPECT_FALSE(keep_best_of(attempt));
  attempt.claim = Claim{};
  EXPECT_FALSE(keep_best_of(attempt));
  attempt.claim->config = R"({"checkpoint":{"keep_best":null}})";
  EXPECT_FALSE(keep_best_of(attempt));
  attempt.claim->config =
      R"({"checkpoint":{"keep_best":{"count":2,"metric":"loss","mode":"min","new":1}}})";
  ASSERT_TRUE(keep_best_of(attempt));
  EXPECT_EQ(keep_best_of(attempt)->metric, "loss");
  EXPECT_FALSE(keep_best_of(attempt)->maximize);
}

TEST(Pins, ComeAndGoOnceAndRetentionSeesThem) {
  StoreOnDisk disk("pins");
  disk.attempt("a");
  EXPECT_THAT(read_pins(disk.files(), disk.path()), IsEmpty());
  EXPECT_FALSE(unpin(disk.files(), disk.path(), {3, 1200}));
  EXPECT_TRUE(pin(disk.files(), disk.path(), {3, 1200}));
  EXPECT_FALSE(pin(disk.files(), disk.path(), {3, 1200}));
  EXPECT_THAT(read_pins(disk.files(), disk.path()), ElementsAre(CheckpointId{3, 1200}));
  EXPECT_TRUE(disk.content().contains("pins/3@1200"));
  EXPECT_TRUE(unpin(disk.files(), disk.path(), {3, 1200}));
  EXPECT_THAT(read_pins(disk.files(), disk.path()), IsEmpty());
}

}  // namespace
}  // namespace lockstep
