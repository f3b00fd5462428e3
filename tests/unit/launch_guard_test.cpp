#include "coordinator/watchdog/launch_guard.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/watchdog_pair.h"

namespace lockstep {
namespace {

using lockstep::testing::WatchdogDeathTest;
using ::testing::ExitedWithCode;
using namespace std::chrono_literals;

// A launch as others are seen in it; `said` is what this rank has said.
class FakeSight : public LaunchSight {
 public:
  explicit FakeSight(std::optional<LaunchSeen> seen) : seen_(std::move(seen)) {}
  bool say_here(double limit_s) override {
    said = limit_s;
    return true;
  }
  std::optional<LaunchSeen> look() override { return seen_; }

  std::atomic<double> said = 0;

 private:
  std::optional<LaunchSeen> seen_;
};

// Waits for ever, on a rank that sees this.
[[noreturn]] void wait_in_launch(int rank, double limit_s, std::optional<LaunchSeen> seen) {
  LaunchGuard guard({rank, "n1"}, limit_s, std::make_shared<FakeSight>(std::move(seen)));
  guard.wait_for_others();
  std::this_thread::sleep_for(20s);
  std::exit(0);
}

TEST_F(WatchdogDeathTest, ALaunchThatIsNotJoinedByAllEnds) {
  EXPECT_EXIT(
      {
        LaunchGuard guard({1, "n1"}, 900, nullptr);
        guard.wait_for_others();
        guard.set_limit(0.5);
        std::this_thread::sleep_for(10s);
        std::exit(0);
      },
      ExitedWithCode(76), "^rank 1 .n1.: phase launch, not all ranks joined within 0.5 s\n");
  EXPECT_EXIT(
      {
        { const LaunchGuard guard({1, "n1"}, 0.3, nullptr); }
        std::this_thread::sleep_for(600ms);
        std::exit(0);
      },
      ExitedWithCode(0), "^$");
}

TEST_F(WatchdogDeathTest, WhoIsMissingInALaunchIsNamed) {
  EXPECT_EXIT(wait_in_launch(0, 0.3, LaunchSeen{{{2, "n2"}, {5, ""}}, true, 0.3}),
              ExitedWithCode(76),
              "^rank 0 .n1.: phase launch, not all ranks joined within 0.3 s\n"
              "rank 2 .n2.: phase launch, silent for 0 s\nrank 5: phase launch, silent for 0 s\n$");
  EXPECT_EXIT(wait_in_launch(1, 1.3, LaunchSeen{{{0, "n0"}}, false, 0}), ExitedWithCode(76),
              "^rank 1 .n1.: phase launch, not all ranks joined within 1.3 s\n"
              "rank 0 .n0.: phase launch, silent for 1 s\n$");
  EXPECT_EXIT(wait_in_launch(0, 0.3, std::nullopt), ExitedWithCode(76),
              "^rank 0 .n1.: phase launch, not all ranks joined within 0.3 s\n$");
}

TEST_F(WatchdogDeathTest, ARankThatSeesRank0GoesByItsLimitAndLetsItSpeakFirst) {
  EXPECT_EXIT(
      wait_in_launch(1, 0.3, LaunchSeen{{}, true, 2}), ExitedWithCode(76),
      "^rank 1 .n1.: phase launch, not all ranks joined within 7 s; all that it can see have "
      "started\n");
}

TEST_F(WatchdogDeathTest, ARankThatIsNotReadyToJoinNamesItselfAndShowsWhereItIs) {
  EXPECT_EXIT(
      {
        const LaunchGuard guard({0, "n1"}, 0.3,
                                std::make_shared<FakeSight>(LaunchSeen{{{1, "n1"}}, true, 0}));
        std::this_thread::sleep_for(10s);
        std::exit(0);
      },
      ExitedWithCode(76),
      "^rank 0 .n1.: phase launch, not ready to join the others after 0.3 s\n"
      "rank 0 .n1.: its main thread is in");
}

TEST(LaunchGuard, SaysThatItIsHereOnlyWhileALaunchTakesLong) {
  const auto sight = std::make_shared<FakeSight>(std::nullopt);
  {
    LaunchGuard guard({0, "n1"}, 1, sight);
    guard.set_limit(60);
    std::this_thread::sleep_for(1500ms);
    EXPECT_EQ(sight->said, 0) << "it is not ready yet";
    guard.wait_for_others();
    for (int i = 0; i < 300 && sight->said == 0; ++i)
      std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(sight->said, 60) << "others may look after 1 s";
  const auto quick = std::make_shared<FakeSight>(std::nullopt);
  {
    LaunchGuard other({0, "n1"}, 60, quick);
    other.wait_for_others();
    std::this_thread::sleep_for(600ms);
  }
  EXPECT_EQ(quick->said, 0);
}

TEST(PmixSight, WithoutALauncherThereIsNothing) {
  const auto sight = make_pmix_sight();
  EXPECT_FALSE(sight->say_here(1));
  EXPECT_FALSE(sight->look());
}

}  // namespace
}  // namespace lockstep
