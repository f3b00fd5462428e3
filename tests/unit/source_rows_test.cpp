// The rows of the table for best, from, scope, exclude and skip_samples.

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/decision_rows.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

const KeepBest kAccuracy{"accuracy", true, 1};
const KeepBest kLoss{"loss", false, 1};

StoreBuilder& with_metric(StoreBuilder& builder, StoreView& view, CheckpointId id,
                          const std::string& name, double value) {
  view.checkpoint(id)->examined->manifest->metrics[name] = value;
  return builder;
}

StoreView measured() {  // 1@10: 0.5, 1@20: 0.9, 1@30: 0.9, 1@40: none; 2@50 elsewhere: 1.0
  StoreView store = plain().checkpoint(40).attempt("b", fresh()).checkpoint(50);
  StoreBuilder unused;
  for (const auto& [iteration, value] :
       std::vector<std::pair<std::int64_t, double>>{{10, 0.5}, {20, 0.9}, {30, 0.9}})
    with_metric(unused, store, {1, iteration}, "accuracy", value);
  with_metric(unused, store, {2, 50}, "accuracy", 1.0);
  return store;
}

Request best(std::optional<std::int64_t> attempt = {}) {
  return of_attempt(request_of(RestoreMode::kBest), attempt.value_or(1));
}

LaunchFacts by(const KeepBest& rule, const Request& request) {
  auto launch = launch_of(request, "r");
  launch.keep_best = rule;
  return launch;
}

TEST(Best, TheLatestOfTheBestInTheLineage) {
  check({"two are equal: the latest",
         measured(),
         by(kAccuracy, best()),
         DecisionKind::kRestore,
         CheckpointId{1, 30},
         0,
         {"accuracy 0.9 of 1@30 is the best in attempt 1's lineage"}});
  check({"the least where the mode is min", measured(), by({"accuracy", false, 1}, best()),
         DecisionKind::kRestore, CheckpointId{1, 10}});
  check({"the newest lineage's", measured(), by(kAccuracy, request_of(RestoreMode::kBest)),
         DecisionKind::kRestore, CheckpointId{2, 50}});
  check({"nobody has the metric",
         measured(),
         by(kLoss, best()),
         DecisionKind::kError,
         {},
         2,
         {"no good checkpoint in attempt 1's lineage has the metric loss"}});
  check({"an empty store",
         StoreView{},
         by(kLoss, request_of(RestoreMode::kBest)),
         DecisionKind::kError,
         {},
         2,
         {"best: the store has no checkpoint"}});
}

TEST(Best, DamagedAndNonFiniteOnes) {
  auto store = measured();
  store.checkpoint({1, 30})->examined->state = kNan;
  check({"not finite", store, by(kAccuracy, best()), DecisionKind::kRestore, CheckpointId{1, 20}});
  store.checkpoint({1, 20})->examined->state = kBad;
  check({"the better one is damaged",
         store,
         by(kAccuracy, best()),
         DecisionKind::kRestore,
         CheckpointId{1, 10},
         0,
         {"1@20 is damaged and passed over"}});
  check({"30 lost at the most, 30 would be lost", store, by(kAccuracy, with_lost(best(), 30)),
         DecisionKind::kRestore, CheckpointId{1, 10}});
  check({"29",
         store,
         by(kAccuracy, with_lost(best(), 29)),
         DecisionKind::kError,
         {},
         2,
         {"gives up 30 iterations"}});
  store.checkpoint({1, 10})->examined->state = kBad;
  check({"all", store, by(kAccuracy, best()), DecisionKind::kError, {}, 2, {"1@10", "1@20"}});
}

SourceView other_store() {  // 1: 10, 20, 30; 2 went back to 1@20: 25, 35
  SourceView source;
  source.path = "/other";
  source.store = branched();
  source.store.id = "other";
  return source;
}

Request from(Request request) {
  request.from = "../other";
  return request;
}
Request model(Request request) {
  request.model_only = true;
  return request;
}

struct SourceRow {
  std::string name;
  Request request;
  std::optional<Parent> parent;
  std::optional<std::string> source;
  std::vector<std::string> facts = {};
};

Ruling ruled(const StoreView& store, const Request& request, const SourceView& source) {
  auto launch = launch_of(request, "r");
  launch.from_path = source.path;
  return rule(store, launch, &source);
}

TEST(From, AnotherStoreIsAskedBeforeAnythingIsSaid) {
  const auto ruling = rule(StoreView{}, launch_of(from(latest()), "r"));
  EXPECT_TRUE(ruling.read_source);
  EXPECT_FALSE(ruling.settled());
}

TEST(From, AnotherStore) {
  const Parent newest{{2, 35}, "other"};
  const std::vector<SourceRow> rows = {
      {"latest", from(latest()), newest, "/other/checkpoints/0002-0000000035", {"from /other"}},
      {"iteration", from(iteration(20)), Parent{{1, 20}, "other"},
       "/other/checkpoints/0001-0000000020"},
      {"attempt", from(iteration(30, 1)), Parent{{1, 30}, "other"},
       "/other/checkpoints/0001-0000000030"},
      {"model",
       from(model(latest())),
       std::nullopt,
       "/other/checkpoints/0002-0000000035",
       {"weights only"}},
      {"the own store's checkpoints do not matter", from(iteration(25)), Parent{{2, 25}, "other"},
       "/other/checkpoints/0002-0000000025"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto ruling = ruled(plain(), row.request, other_store());
    ASSERT_TRUE(ruling.settled());
    EXPECT_EQ(to_text(ruling.record.kind), "restore") << all_text(ruling.record);
    EXPECT_EQ(ruling.record.parent, row.parent);
    EXPECT_EQ(ruling.record.source, row.source);
    EXPECT_EQ(ruling.selection.model_only, row.request.model_only);
    EXPECT_TRUE(ruling.chosen->in_source);
    for (const auto& fact : row.facts)
      EXPECT_THAT(all_text(ruling.record), HasSubstr(fact));
  }
  EXPECT_THAT(all_text(ruled(plain(), from(iteration(99)), other_store()).record),
              HasSubstr("iteration 99 is not in attempt 2's lineage"));
  EXPECT_THAT(all_text(ruled(plain(), from(iteration(30)), other_store()).record),
              HasSubstr("it exists as 1@30: write restore: {from: ../other, attempt: 1, iteration: "
                        "30}"));
  auto empty = other_store();
  empty.store = StoreView{};
  EXPECT_THAT(all_text(ruled(plain(), from(latest()), empty).record),
              HasSubstr("/other has no checkpoint"));
  EXPECT_EQ(ruled(plain(), from(automatic()), empty).record.kind, DecisionKind::kFresh);
}

TEST(From, TheOwnStoreIsTheOwnStore) {
  auto source = other_store();
  source.path = "/store";
  const auto record = ruled(plain(), from(latest()), source).record;
  EXPECT_EQ(record.parent, (Parent{{1, 30}, std::nullopt}));
  EXPECT_EQ(record.source, std::nullopt);
}

TEST(From, ACopyOfTheOwnStoreOnlyWhereTheOwnHoldsTheSame) {
  auto copy = other_store();
  copy.store.id = "id";  // as the builder's
  auto ruling = ruled(plain(), from(iteration(20)), copy);
  EXPECT_EQ(ruling.record.parent, (Parent{{1, 20}, std::nullopt}));
  EXPECT_FALSE(ruling.chosen->in_source);
  ruling = ruled(plain(), from(latest()), copy);
  EXPECT_EQ(ruling.record.exit_code, 2);
  EXPECT_THAT(all_text(ruling.record), HasSubstr("is a copy of this store"));
  copy.store.checkpoint({1, 20})->examined->manifest_digest = "another";
  EXPECT_EQ(ruled(plain(), from(iteration(20)), copy).record.kind, DecisionKind::kError);
}

TEST(From, TheBestOfACopyIsKnownOnlyWhenAllOfItWasExamined) {
  auto launch = by(kAccuracy, from(best()));
  SourceView copy = other_store();
  copy.store = measured();
  launch.from_path = copy.path;
  copy.store.checkpoint({1, 20})->examined.reset();  // 1@40, newer, has no metric
  copy.store.checkpoint({1, 30})->examined->manifest->metrics["accuracy"] = 0.6;
  auto ruling = rule(measured(), launch, &copy);
  EXPECT_EQ(ruling.examine, (Chosen{{1, 20}, true}));
  copy.store = measured();
  copy.store.checkpoint({1, 30})->examined->manifest->metrics["accuracy"] = 0.6;
  ruling = rule(measured(), launch, &copy);
  EXPECT_EQ(ruling.record.parent, (Parent{{1, 20}, std::nullopt}));
}

SourceView loose() {
  SourceView source;
  source.kind = SourceKind::kCheckpoint;
  source.path = "/backup/best";
  source.store = StoreBuilder().attempt("x", {}).checkpoint(70);
  source.store.attempts.clear();
  source.store.id.reset();
  return source;
}

TEST(From, ALooseCheckpointHasNoStore) {
  auto record = ruled(plain(), from(latest()), loose()).record;
  EXPECT_EQ(record.parent, (Parent{{1, 70}, ""}));
  EXPECT_EQ(record.source, "/backup/best");
  EXPECT_EQ(ruled(plain(), from(iteration(70, 1)), loose()).record.kind, DecisionKind::kRestore);
  EXPECT_EQ(ruled(plain(), from(iteration(71)), loose()).record.exit_code, 2);
  EXPECT_EQ(ruled(plain(), from(iteration(70, 2)), loose()).record.exit_code, 2);
}

SourceView weights() {
  SourceView source;
  source.kind = SourceKind::kWeights;
  source.path = "/w.safetensors";
  source.digest = "w";
  source.weights.tensors = {{{"a", Dtype::kF32, {1}}, 0, 0}};
  return source;
}

TEST(From, WeightsAreOfScopeModelAndOfNoMode) {
  auto request = from(model(latest()));
  request.skip_samples = 7;
  const auto ruling = ruled(plain(), request, weights());
  EXPECT_EQ(to_text(ruling.record.kind), "restore");
  EXPECT_EQ(ruling.record.parent, std::nullopt);
  EXPECT_EQ(ruling.record.source, "/w.safetensors");
  EXPECT_EQ(ruling.record.manifest_digest, "w");
  EXPECT_EQ(ruling.skip_samples, 7);
  EXPECT_FALSE(ruling.chosen);
  EXPECT_THAT(all_text(ruled(plain(), from(latest()), weights()).record),
              HasSubstr("write scope: model"));
  EXPECT_EQ(ruled(plain(), from(model(iteration(3))), weights()).record.exit_code, 2);
}

TEST(Scope, ModelOfTheOwnStoreHasNoParentAndNamesItsSource) {
  const auto launch = launch_of(model(latest()), "r");
  const auto ruling = rule(plain(), launch);
  EXPECT_EQ(ruling.record.parent, std::nullopt);
  EXPECT_EQ(ruling.record.source, "1@30");
  auto small = launch;
  small.max_iterations = 20;
  EXPECT_EQ(to_text(rule(plain(), small).record.kind), "restore") << "iteration 0 is below 20";
  small.max_iterations = 0;
  EXPECT_EQ(to_text(rule(plain(), small).record.kind), "finished");
}

// An attempt of run r that decided as `ruling` says.
StoreView after(StoreBuilder store, const Request& request, const Ruling& ruling) {
  store.attempt("r", request);
  store.last().decision = ruling.record;
  return store;
}

TEST(Requeue, StartsAgainFromTheSameSourceUntilSomethingIsCommitted) {
  const std::vector<std::pair<Request, SourceView>> starts = {
      {from(iteration(20)), other_store()},
      {from(model(latest())), other_store()},
      {from(latest()), loose()},
      {from(model(latest())), loose()},
      {from(model(latest())), weights()},
      {model(latest()), other_store()},  // of the own store: the source is not asked
  };
  for (const auto& [request, source] : starts) {
    const auto first = ruled(plain(), request, source);
    SCOPED_TRACE(to_json(first.record));
    const auto store = after(plain(), request, first);
    const auto again = ruled(store, request, source);
    ASSERT_TRUE(again.settled());
    EXPECT_EQ(again.record.parent, first.record.parent);
    EXPECT_EQ(again.record.source, first.record.source);
    EXPECT_EQ(again.selection, first.selection);
    EXPECT_THAT(again.record.reasons.front(), HasSubstr("nothing was committed since"));
    // Once something is committed the source is not even read: it may be gone by then.
    StoreBuilder trained = plain();
    trained.attempt("r", request);
    trained.last().decision = first.record;
    trained.checkpoint(5);
    const auto carried = rule(trained, launch_of(request, "r"));
    ASSERT_TRUE(carried.settled());
    EXPECT_EQ(carried.record.parent, (Parent{{2, 5}, std::nullopt}));
    EXPECT_EQ(carried.selection, Selection{}) << "scope and exclude are not applied again";
    EXPECT_THAT(carried.record.reasons.front(), HasSubstr("to apply it again set run.id"));
  }
}

TEST(Requeue, ASourceThatChangedOrVanishedIsAnError) {
  const auto request = from(model(latest()));
  auto store = after(plain(), request, ruled(plain(), request, weights()));
  auto other = weights();
  other.digest = "v";
  EXPECT_THAT(all_text(ruled(store, request, other).record), HasSubstr("is another file than"));
  store = after(plain(), from(iteration(20)), ruled(plain(), from(iteration(20)), other_store()));
  auto gone = other_store();
  gone.store.checkpoints.erase(gone.store.checkpoints.begin() + 1);
  EXPECT_EQ(ruled(store, from(iteration(20)), gone).record.exit_code, 2);
  store = after(plain(), from(latest()), ruled(plain(), from(latest()), other_store()));
  const auto anew = ruled(store, from(latest()), loose());
  EXPECT_EQ(anew.record.parent, (Parent{{1, 70}, ""})) << "the path names something else now";
  EXPECT_THAT(anew.record.reasons.front(), HasSubstr("is gone now: latest is decided anew"));
}

TEST(Requeue, AnotherStoreInItsPlaceIsNotTheSameStart) {
  auto another = other_store();
  another.store.id = "another";
  for (auto& checkpoint : another.store.checkpoints)
    checkpoint.examined->manifest_digest += " of another";
  for (const bool model_only : {false, true}) {
    const auto request = [&](Request wanted) {
      return model_only ? from(model(std::move(wanted))) : from(std::move(wanted));
    };
    auto store = after(plain(), request(iteration(20)),
                       ruled(plain(), request(iteration(20)), other_store()));
    const auto named = ruled(store, request(iteration(20)), another).record;
    EXPECT_EQ(named.exit_code, 2);
    EXPECT_THAT(all_text(named),
                HasSubstr("1@20 of /other is another checkpoint than when attempt"));
    store = after(plain(), request(latest()), ruled(plain(), request(latest()), other_store()));
    const auto anew = ruled(store, request(latest()), another).record;
    EXPECT_EQ(anew.kind, DecisionKind::kRestore);
    EXPECT_THAT(anew.reasons.front(), HasSubstr("is another now: latest is decided anew"));
  }
}

TEST(Requeue, WhatADeleterHadInTrashIsFoundAgainInItsPlace) {
  auto source = other_store();
  source.store.checkpoint({2, 35})->trash = trash_folder({2, std::string(16, 'a'), {2, 35}, false});
  const auto first = ruled(plain(), from(model(latest())), source);
  EXPECT_EQ(first.record.source, "/other/checkpoints/0002-0000000035");
  const auto store = after(plain(), from(model(latest())), first);
  const auto again = ruled(store, from(model(latest())), other_store()).record;
  EXPECT_EQ(again.source, first.record.source);
  EXPECT_THAT(again.reasons.front(), HasSubstr("nothing was committed since"));
}

TEST(Requeue, WhatHadCarriedOnIsNotCutToItsWeightsWhereTheClaimBeforeItIsDamaged) {
  const auto request = model(latest());
  StoreBuilder store = plain();
  store.attempt("r", request).checkpoint(5).attempt("r", request, CheckpointId{2, 5});
  StoreView view = store;
  view.attempts[1].claim.reset();
  view.attempts[1].damage.emplace_back("claim.json: digest is wrong");
  const auto again = rule(view, launch_of(request, "r"));
  EXPECT_EQ(again.record.parent, (Parent{{2, 5}, std::nullopt}));
  EXPECT_EQ(again.selection, Selection{});
}

TEST(Requeue, SkipAndExcludeBelongToTheStart) {
  auto request = latest();
  request.skip_samples = 100;
  request.exclude = {"head.*"};
  const auto first = rule(plain(), launch_of(request, "r"));
  EXPECT_EQ(first.skip_samples, 100);
  const auto again = rule(after(plain(), request, first), launch_of(request, "r"));
  EXPECT_EQ(again.skip_samples, 100);
  EXPECT_EQ(again.selection.exclude, request.exclude);
}

}  // namespace
}  // namespace lockstep
