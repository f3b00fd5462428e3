#include "coordinator/watchdog/rank_roll.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/watchdog/slow_ranks.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr StallRule kRule{.heartbeat_seconds = 1, .stall_seconds = 30, .join_seconds = 900};
constexpr double kIteration = 0.01;

std::vector<std::string> texts(const std::vector<Culprit>& culprits) {
  std::vector<std::string> lines;
  for (const auto& culprit : culprits)
    lines.push_back(to_text(culprit));
  return lines;
}

// Three ranks on hosts a, b and c, all heard at 0 s in training.
class RollTest : public ::testing::Test {
 protected:
  RollTest() {
    for (std::size_t i = 0; i < 3; ++i)
      hear(i, {Phase::kTrain, false, 10, 0}, 0);
  }
  void hear(std::size_t index, const RankStanding& standing, double now_s) {
    roll_.hear(index, standing, now_s);
    last_.at(index) = standing;
  }
  // Everybody is heard each second, and stays where it is.
  void beat(double now_s, std::size_t but = 3) {
    for (std::size_t i = 0; i < 3; ++i)
      if (i != but) hear(i, last_.at(i), now_s);
  }
  std::vector<std::string> judge(double now_s) const {
    return texts(roll_.judge(kRule, kIteration, now_s));
  }

  std::array<RankStanding, 3> last_;
  RankRoll roll_{{{0, "a"}, {1, "b"}, {2, "c"}}, 0};
};

TEST_F(RollTest, NobodyIsToBlameWithinTheLimit) {
  beat(30);
  EXPECT_THAT(judge(30), IsEmpty());
}

TEST_F(RollTest, TheSilentOneIsNamedThoughAllAreStill) {
  hear(2, {Phase::kSave, true, 11, 4}, 1);
  beat(31.5, 2);
  EXPECT_THAT(judge(31.5), ElementsAre("rank 2 (c): phase save, silent for 30 s"));
}

TEST_F(RollTest, TheSilentOneIsNamedThoughOthersMove) {
  hear(0, {Phase::kTrain, false, 99, 0}, 40);
  hear(1, {Phase::kTrain, false, 99, 0}, 40);
  EXPECT_THAT(judge(40), ElementsAre("rank 2 (c): phase train, silent for 40 s"));
}

TEST_F(RollTest, AllThatAreSilentAreNamed) {
  hear(0, {Phase::kTrain, false, 10, 0}, 31);
  EXPECT_THAT(judge(31), ElementsAre("rank 1 (b): phase train, silent for 31 s",
                                     "rank 2 (c): phase train, silent for 31 s"));
}

TEST_F(RollTest, WhoeverMovesKeepsTheOthersWaiting) {
  beat(300);
  hear(1, {Phase::kTrain, false, 10, 1}, 280);
  beat(300);
  EXPECT_THAT(judge(300), IsEmpty()) << "one writes a long shard, the others wait for it";
  beat(311);
  EXPECT_EQ(judge(311).size(), 3) << "nobody is behind: all";
}

TEST_F(RollTest, WhoIsInsideWorkOfItsOwnIsNamed) {
  hear(1, {Phase::kSave, true, 12, 4}, 1);
  hear(0, {Phase::kSave, false, 12, 9}, 2);
  hear(2, {Phase::kSave, false, 12, 9}, 2);
  beat(40);
  EXPECT_THAT(judge(40), ElementsAre("rank 1 (b): phase save, no progress for 39 s"));
}

TEST_F(RollTest, WhoIsBehindIsNamed) {
  hear(0, {Phase::kTrain, false, 12, 0}, 1);
  hear(1, {Phase::kTrain, false, 12, 7}, 1);
  beat(40);
  EXPECT_THAT(judge(40), ElementsAre("rank 2 (c): phase train, no progress for 40 s"));
}

TEST_F(RollTest, TwentyIterationsAreNoStall) {
  beat(100);
  EXPECT_THAT(texts(roll_.judge(kRule, 6, 100)), IsEmpty());
  beat(121);
  EXPECT_EQ(roll_.judge(kRule, 6, 121).size(), 3);
}

TEST_F(RollTest, TheFirstIterationBelongsToTheLaunch) {
  beat(800);
  EXPECT_THAT(texts(roll_.judge(kRule, 0, 800)), IsEmpty());
  beat(901);
  EXPECT_EQ(roll_.judge(kRule, 0, 901).size(), 3);
}

TEST_F(RollTest, WhoHasLeftIsNotMissed) {
  roll_.leave(2);
  beat(29, 2);
  hear(0, {Phase::kEnd, false, 11, 0}, 35);
  hear(1, {Phase::kEnd, false, 11, 0}, 35);
  EXPECT_THAT(judge(40), IsEmpty());
}

TEST_F(RollTest, AllHaveLeftWhereNobodyIsWaitedFor) {
  EXPECT_FALSE(roll_.all_left());
  for (std::size_t i = 0; i < 2; ++i)
    roll_.leave(i);
  EXPECT_TRUE(roll_.left(1));
  EXPECT_FALSE(roll_.left(2));
  EXPECT_FALSE(roll_.all_left());
  roll_.leave(2);
  EXPECT_TRUE(roll_.all_left());
  EXPECT_TRUE(RankRoll({{0, "a"}}, 0).all_left()) << "one that was never heard may be out of reach";
}

TEST(Roll, WhoWasNeverHeardIsNotJudged) {
  RankRoll roll({{0, "a"}, {1, "b"}}, 0);
  roll.hear(0, {Phase::kTrain, false, 1, 0}, 0);
  EXPECT_FALSE(roll.heard(1));
  roll.hear(0, {Phase::kTrain, false, 2, 0}, 100);
  EXPECT_THAT(roll.judge(kRule, kIteration, 100), IsEmpty());
}

// Ranks that are found in each of four heartbeats.
std::vector<std::vector<std::size_t>> slow(const std::vector<double>& seconds) {
  SlowRanks ranks(seconds.size());
  std::vector<std::vector<std::size_t>> found;
  for (int i = 0; i < 4; ++i) {
    for (std::size_t rank = 0; rank < seconds.size(); ++rank)
      ranks.hear(rank, seconds[rank]);
    found.push_back(ranks.find());
  }
  return found;
}

TEST(SlowRanks, AreNamedOnceAfterThreeHeartbeats) {
  using Found = std::vector<std::size_t>;
  struct Row {
    std::vector<double> seconds;
    Found found;
  };
  for (const auto& row :
       {Row{{0.1, 0.1, 0.3, 0.1}, {2}}, Row{{0.1, 0.3}, {1}}, Row{{0.3, 0.1, 0.1, 0.25}, {0, 3}},
        Row{{0.1, 0.1, 0.2, 0.1}, {}}, Row{{0.001, 0.001, 0.005}, {}}, Row{{0.3, 0, 0}, {}},
        Row{{0, 0}, {}}, Row{{1}, {}}}) {
    EXPECT_THAT(slow(row.seconds), ElementsAre(Found(), Found(), row.found, Found()));
  }
}

TEST(SlowRanks, OnceSlowIsChance) {
  SlowRanks ranks(3);
  for (int i = 0; i < 20; ++i) {
    ranks.hear(0, 0.1);
    ranks.hear(1, 0.1);
    ranks.hear(2, i % 3 == 0 ? 0.1 : 0.5);
    EXPECT_THAT(ranks.find(), IsEmpty());
  }
}

// What would go wrong without the clock that counts wakes: the negative control.
TEST(Roll, ASuspendedJobIsNoStallByTheAwakeClockAndIsOneByAnyOther) {
  const auto judged_by = [](auto&& clock) {
    RankRoll roll({{0, "a"}, {1, "b"}}, 0);
    const RankStanding standing{Phase::kTrain, false, 1, 0};
    for (const double now_s : {0.0, 1.0, 2.0, 5000.0}) {
      const double counted_s = clock(now_s);
      if (now_s == 5000) return roll.judge(kRule, kIteration, counted_s);
      roll.hear(0, standing, counted_s);
      roll.hear(1, standing, counted_s);
    }
    return std::vector<Culprit>();
  };
  AwakeClock awake(1);
  EXPECT_THAT(judged_by([&](double now_s) { return awake.wake(now_s); }), IsEmpty());
  EXPECT_EQ(judged_by([](double now_s) { return now_s; }).size(), 2);
}

}  // namespace
}  // namespace lockstep
