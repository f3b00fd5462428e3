#include "coordinator/retention_rule.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/best.h"
#include "coordinator/lineage.h"
#include "coordinator/prune.h"
#include "tests/support/store_builder.h"

namespace lockstep {
namespace {

using lockstep::testing::fresh;
using lockstep::testing::StoreBuilder;

KeepBest highest(std::int64_t count) {
  return {"accuracy", true, count};
}
RetentionRule last(std::int64_t keep_last) {
  return {keep_last, std::nullopt, std::nullopt};
}
RetentionRule every(std::int64_t keep_every, std::int64_t keep_last) {
  return {keep_last, keep_every, std::nullopt};
}
RetentionRule best(const KeepBest& keep_best) {
  return {1, std::nullopt, keep_best};
}

// ---- row by row -------------------------------

// One attempt; a checkpoint is "30", with "=0.7" for a metric, "!" for damaged, "~" for not finite,
// "?" for not examined.
StoreView store_of(const std::vector<std::string>& checkpoints) {
  StoreBuilder builder;
  builder.attempt("a", fresh());
  StoreView store = builder;
  for (const auto& text : checkpoints) {
    const auto has = [&](char mark) { return text.find(mark) != std::string::npos; };
    builder.checkpoint(std::stoll(text), has('!')   ? CheckpointState::kDamaged
                                         : has('~') ? CheckpointState::kNotFinite
                                                    : CheckpointState::kGood);
  }
  store = builder;
  for (std::size_t i = 0; i < checkpoints.size(); ++i) {
    auto& examined = store.checkpoints[i].examined;
    if (const auto at = checkpoints[i].find('='); at != std::string::npos)
      examined->manifest->metrics["accuracy"] = std::stod(checkpoints[i].substr(at + 1));
    if (checkpoints[i].find('?') != std::string::npos) examined.reset();
  }
  return store;
}

struct Row {
  const char* about;
  std::vector<std::string> there;
  RetentionRule rule;
  std::vector<std::int64_t> pinned;
  std::vector<std::int64_t> gone;  // newest first
};

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
      {"fewer than keep_last", {"10", "20"}, last(3), {}, {}},
      {"none at all", {}, last(1), {}, {}},
      {"keep_last", {"10", "20", "30", "40"}, last(2), {}, {20, 10}},
      {"keep_last 0 is 1", {"10", "20"}, last(0), {}, {10}},
      {"a pin stays and does not count", {"10", "20", "30"}, last(1), {10}, {20}},
      {"a pin within keep_last counts", {"10", "20", "30"}, last(2), {30}, {10}},
      {"keep_every", {"0", "10", "15", "20", "25"}, every(10, 1), {}, {15}},
      {"keep_every does not count for keep_last", {"10", "20", "23"}, every(10, 2), {}, {}},
      {"best by maximum", {"10=0.9", "20=0.5", "30=0.4"}, best(highest(1)), {}, {20}},
      {"best by minimum",
       {"10=0.9", "20=0.5", "30=0.7"},
       best(KeepBest{"accuracy", false, 1}),
       {},
       {10}},
      {"best within keep_last", {"10=0.1", "20=0.2", "30=0.4"}, best(highest(1)), {}, {20, 10}},
      {"the two best", {"10=0.9", "20=0.5", "30=0.8", "40=0.1"}, best(highest(2)), {}, {20}},
      {"of equal ones the later", {"10=0.9", "20=0.9", "30=0.1"}, best(highest(1)), {}, {10}},
      {"no metric, never best", {"10", "20=0.1", "30"}, best(highest(3)), {}, {10}},
      {"another metric", {"10=0.9", "20=0.1"}, best(KeepBest{"loss", true, 1}), {}, {10}},
      {"a damaged best does not count",
       {"10=0.5", "20!=0.9", "30=0.1"},
       best(highest(1)),
       {},
       {20}},
      {"a non-finite best does not count",
       {"10=0.5", "20~=0.9", "30=0.1"},
       best(highest(1)),
       {},
       {}},
      {"damaged ahead stays, and does not count", {"10", "20", "30!", "40"}, last(2), {}, {10}},
      {"damaged behind goes", {"10!", "20", "30"}, last(2), {}, {10}},
      {"damaged, named by keep_every", {"10!", "13!", "20", "30"}, every(10, 1), {}, {13}},
      {"damaged and pinned", {"10!", "20"}, last(1), {10}, {}},
      {"newer than any good one", {"10", "20!", "30~"}, last(1), {}, {}},
      {"of non-finite ones the newest", {"10~", "20~", "30", "40~"}, last(3), {}, {20, 10}},
      {"the newest non-finite, far behind", {"10~", "20", "30"}, last(1), {}, {20}},
      {"non-finite, named by keep_every", {"10~", "20~"}, every(10, 1), {}, {10}},
      {"non-finite and pinned", {"10~", "20~"}, last(1), {10}, {}},
      {"none good: all damaged stay", {"10!", "20!"}, last(1), {}, {}},
      {"not read: stays, and does not count", {"10?", "20", "30?", "40"}, last(2), {}, {}},
  };
  return table;
}

TEST(ChooseDeletions, RowByRow) {
  for (const auto& row : rows()) {
    const auto store = store_of(row.there);
    std::set<CheckpointId> pins;
    for (const auto at : row.pinned)
      pins.insert({1, at});
    std::vector<std::int64_t> gone;
    for (const auto& deletion : choose_deletions(store, lineage(store, 1), row.rule, pins)) {
      gone.push_back(deletion.checkpoint.iteration);
      EXPECT_FALSE(deletion.why.empty());
    }
    EXPECT_EQ(gone, row.gone) << row.about;
  }
}

TEST(ChooseDeletions, SaysWhy) {
  const auto store = store_of({"5~", "10", "20!", "30", "40~"});
  std::string text;
  for (const auto& deletion : choose_deletions(store, lineage(store, 1), last(1), {}))
    text += to_text(deletion.checkpoint) + " " + deletion.why + "\n";
  EXPECT_EQ(text,
            "1@20 damaged, and behind the newest good one\n"
            "1@10 behind the newest good one\n"
            "1@5 not finite, as a newer one is\n");
}

// ---- promise 16 on random histories ----------

class Histories {
 public:
  explicit Histories(std::uint64_t seed) : random_(seed) {}

  std::int64_t upto(std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(0, most)(random_);
  }

  StoreView store() {
    StoreBuilder builder;
    const auto attempts = 1 + upto(5);
    for (std::int64_t i = 0; i < attempts; ++i)
      attempt(builder);
    StoreView made = builder;
    for (auto& checkpoint : made.checkpoints) {
      if (upto(3) != 0)
        checkpoint.examined->manifest->metrics["accuracy"] = static_cast<double>(upto(4)) / 4;
      if (upto(15) == 0) checkpoint.examined.reset();
    }
    return made;
  }

  RetentionRule rule() {
    RetentionRule rule;
    rule.keep_last = 1 + upto(3);
    if (upto(1) == 0) rule.keep_every = 1 + upto(4);
    if (upto(1) == 0) rule.keep_best = KeepBest{"accuracy", upto(1) == 0, 1 + upto(2)};
    return rule;
  }

  std::set<CheckpointId> pins(const StoreView& store) {
    std::set<CheckpointId> pins;
    for (const auto& checkpoint : store.checkpoints)
      if (upto(7) == 0) pins.insert(checkpoint.id);
    return pins;
  }

 private:
  void attempt(StoreBuilder& builder) {
    const StoreView before = builder;
    std::optional<CheckpointId> parent;
    if (!before.checkpoints.empty() && upto(4) != 0)
      parent = before
                   .checkpoints[static_cast<std::size_t>(
                       upto(static_cast<std::int64_t>(before.checkpoints.size()) - 1))]
                   .id;
    builder.attempt("a", fresh(), parent);
    auto at = parent ? parent->iteration : 0;
    for (auto left = upto(6); left > 0; --left) {
      at += 1 + upto(2);
      const auto state = upto(9);
      builder.checkpoint(at, state == 0   ? CheckpointState::kDamaged
                             : state <= 2 ? CheckpointState::kNotFinite
                                          : CheckpointState::kGood);
    }
    if (upto(5) == 0) builder.outcome(OutcomeKind::kRefused, 2);
  }

  std::mt19937_64 random_;
};

struct Judged {
  const StoreView& store;
  std::vector<CheckpointId> lineage;
  RetentionRule rule;
  std::set<CheckpointId> pins;
  std::set<CheckpointId> gone;

  bool is(const CheckpointId& id, CheckpointState state) const {
    const auto& found = store.checkpoint(id)->examined;
    return found && found->state == state;
  }
  bool good(const CheckpointId& id) const { return is(id, CheckpointState::kGood); }
  bool stays(const CheckpointId& id) const { return !gone.contains(id); }
};

// What must hold whatever the rule.
void expect_promise(const Judged& j) {
  for (const auto& id : j.gone) {
    EXPECT_FALSE(j.pins.contains(id)) << to_text(id) << " is pinned";
    EXPECT_NE(std::find(j.lineage.begin(), j.lineage.end(), id), j.lineage.end())
        << to_text(id) << " is not of the lineage";
    EXPECT_TRUE(j.store.checkpoint(id)->examined) << to_text(id) << " was not read";
  }
  for (const auto state : {CheckpointState::kGood, CheckpointState::kNotFinite}) {
    const auto newest = std::find_if(j.lineage.begin(), j.lineage.end(),
                                     [&](const auto& id) { return j.is(id, state); });
    if (newest != j.lineage.end()) {
      EXPECT_TRUE(j.stays(*newest)) << to_text(*newest) << " is the newest such one";
    }
  }
}

// How many of the lineage are better than `id`, or equal and later.
std::int64_t better_than(const Judged& j, const CheckpointId& id, const KeepBest& rule) {
  const auto metric = metric_of(*j.store.checkpoint(id), rule);
  std::int64_t count = 0;
  bool later = true;
  for (const auto& other : j.lineage) {
    if (other == id) later = false;
    const auto its = metric_of(*j.store.checkpoint(other), rule);
    if (other == id || !its) continue;
    if (better(rule, *its, *metric) || (later && *its == *metric)) ++count;
  }
  return count;
}

// The rule itself, said in another way: of each checkpoint alone, by counting.
void expect_rule(const Judged& j) {
  std::int64_t newer_good = 0;
  std::int64_t newer_not_finite = 0;
  for (const auto& id : j.lineage) {
    const bool milestone = j.rule.keep_every && id.iteration % *j.rule.keep_every == 0;
    bool expected = j.pins.contains(id) || !j.store.checkpoint(id)->examined;
    if (j.is(id, CheckpointState::kNotFinite)) {
      expected = expected || newer_not_finite == 0;
      ++newer_not_finite;
    } else {
      expected = expected || milestone || newer_good < j.rule.keep_last;
      if (j.good(id)) ++newer_good;
      if (j.rule.keep_best && metric_of(*j.store.checkpoint(id), *j.rule.keep_best))
        expected = expected || better_than(j, id, *j.rule.keep_best) < j.rule.keep_best->count;
    }
    EXPECT_EQ(j.stays(id), expected) << to_text(id);
  }
}

std::set<CheckpointId> ids_of(const std::vector<Deletion>& deletions) {
  std::set<CheckpointId> ids;
  for (const auto& deletion : deletions)
    EXPECT_TRUE(ids.insert(deletion.checkpoint).second) << "named twice";
  return ids;
}

StoreView without(StoreView store, const std::set<CheckpointId>& gone) {
  std::erase_if(store.checkpoints, [&](const auto& c) { return gone.contains(c.id); });
  return store;
}

std::uint64_t seed_of_this_run() {
  const char* given = std::getenv("LOCKSTEP_SEED");
  return given != nullptr ? std::stoull(given) : std::random_device{}();
}

constexpr int kHistories = 20'000;

TEST(ChooseDeletions, HoldsItsPromiseOnRandomHistories) {
  const auto seed = seed_of_this_run();
  SCOPED_TRACE("LOCKSTEP_SEED=" + std::to_string(seed));
  Histories make(seed);
  std::size_t deletions = 0;
  for (int i = 0; i < kHistories && !::testing::Test::HasFailure(); ++i) {
    const auto store = make.store();
    Judged judged{
        store, lineage(store, store.highest_attempt()), make.rule(), make.pins(store), {}};
    judged.gone = ids_of(choose_deletions(store, judged.lineage, judged.rule, judged.pins));
    expect_promise(judged);
    expect_rule(judged);
    deletions += judged.gone.size();
    const auto after = without(store, judged.gone);
    EXPECT_TRUE(
        choose_deletions(after, lineage(after, after.highest_attempt()), judged.rule, judged.pins)
            .empty())
        << "what is kept is kept";
  }
  EXPECT_GT(deletions, static_cast<std::size_t>(kHistories)) << "it hardly ever deleted";
}

TEST(ChoosePruned, LeavesTheNewestLineageToTheRuleAndTakesAbandonedOnesOnlyWhereAsked) {
  const auto seed = seed_of_this_run();
  SCOPED_TRACE("LOCKSTEP_SEED=" + std::to_string(seed));
  Histories make(seed);
  for (int i = 0; i < kHistories && !::testing::Test::HasFailure(); ++i) {
    const auto store = make.store();
    const auto newest = newest_lineage(store).checkpoints;
    const auto pins = make.pins(store);
    const auto rule = make.rule();
    RetentionRule plain = rule;  // a metric that nobody has is an error of its own
    plain.keep_best.reset();
    const auto kept_rule = ids_of(choose_pruned(store, {plain, false}, pins));
    EXPECT_EQ(kept_rule, ids_of(choose_deletions(store, newest, plain, pins)));
    const auto abandoned = ids_of(choose_pruned(store, {std::nullopt, true}, pins));
    for (const auto& checkpoint : store.checkpoints) {
      const bool reached = std::find(newest.begin(), newest.end(), checkpoint.id) != newest.end();
      EXPECT_EQ(abandoned.contains(checkpoint.id), !reached && !pins.contains(checkpoint.id))
          << to_text(checkpoint.id);
    }
    auto both = kept_rule;
    both.insert(abandoned.begin(), abandoned.end());
    EXPECT_EQ(ids_of(choose_pruned(store, {plain, true}, pins)), both);
  }
}

TEST(ChoosePruned, AMetricThatNobodyHasIsAnErrorThatNamesThoseThereAre) {
  const auto store = store_of({"10=0.5", "20=0.4"});
  const RetentionRule typo{1, {}, KeepBest{"acuracy", true, 1}};
  try {
    choose_pruned(store, {typo, false}, {});
    FAIL() << "it would have deleted the best";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("'acuracy'; there is accuracy"));
  }
}

TEST(ChoosePruned, AnAttemptWhoseDecisionIsDamagedHidesWhatIsAbandoned) {
  StoreBuilder builder;
  builder.attempt("a", fresh()).checkpoint(10).checkpoint(20);
  builder.attempt("a", fresh(), CheckpointId{1, 20}).checkpoint(30).decision_damaged();
  StoreView store = builder;
  EXPECT_TRUE(ids_of(choose_pruned(store, {std::nullopt, true}, {})).empty())
      << "its own manifest tells";
  store.checkpoints.back().examined->manifest.reset();
  store.attempts.back().told_parent.reset();
  EXPECT_THROW(choose_pruned(store, {std::nullopt, true}, {}), Error);
  EXPECT_TRUE(ids_of(choose_pruned(store, {last(1), false}, {})).empty());
}

}  // namespace
}  // namespace lockstep
