// How ranks leave: together where the work is done, one by one where it is not, and how a stop
// signal that came to one of them gets to rank 0.

#include "coordinator/watchdog/parting.h"

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "coordinator/watchdog/watchdog.h"
#include "tests/support/watchdog_pair.h"

namespace lockstep {
namespace {

using lockstep::testing::kNonce;
using lockstep::testing::kQuick;
using lockstep::testing::next_packet;
using lockstep::testing::Pair;
using lockstep::testing::WatchdogDeathTest;
using ::testing::ExitedWithCode;
using namespace std::chrono_literals;

TEST(Watchdog, NobodyLeavesBeforeAllCan) {
  using Clock = std::chrono::steady_clock;
  for (const bool root_is_late : {false, true}) {
    Pair pair({.heartbeat_seconds = 0.05, .stall_seconds = 60});
    std::this_thread::sleep_for(200ms);
    std::thread late([&] {
      std::this_thread::sleep_for(400ms);
      (root_is_late ? pair.root : pair.rank)->leave_with_others();
    });
    const auto began = Clock::now();
    (root_is_late ? pair.rank : pair.root)->leave_with_others();
    EXPECT_GE(Clock::now() - began, 350ms);
    late.join();
    EXPECT_LT(Clock::now() - began, 10s);
  }
}

TEST(Watchdog, WhoHasNoWayToTheOthersDoesNotWaitForThem) {
  ProgressBoard board;
  const StallRule rule{.heartbeat_seconds = 0.05, .stall_seconds = 60};
  for (const int rank : {0, 1}) {
    Watchdog watchdog(board, {.rule = rule,
                              .rank = rank,
                              .hosts = {"n1", "n2"},
                              .speaks = true,
                              .link = WatchdogLink{UdpSocket(), kNonce, {}},
                              .record = nullptr});
    watchdog.leave_with_others();
  }
}

// The other side of a watchdog, which says one thing and falls silent.
class Stopped {
 public:
  const UdpSocket& socket() const { return socket_; }
  void say(PacketKind kind, const UdpPeer& to, std::uint8_t signal = 0) {
    socket_.send(encode({kind, 1, ++said_, {Phase::kEnd, false, 1, 0}, 0, signal}, kNonce), to);
  }
  UdpPeer heard_from() const {
    std::array<std::byte, kPacketBytes> bytes{};
    UdpPeer from;
    EXPECT_EQ(next_packet(socket_, bytes, from), kPacketBytes);
    return from;
  }

 private:
  UdpSocket socket_;
  std::uint32_t said_ = 0;
};

TEST_F(WatchdogDeathTest, AtTheEndWhoDoesNotComeIsNamed) {
  const auto conclusion = [] { return std::string("nothing is lost"); };
  EXPECT_EXIT(
      {
        ProgressBoard board;
        UdpSocket own;
        Stopped rank;
        const auto to_root = rank.socket().peer("127.0.0.1", own.port());
        Watchdog root(board, {.rule = kQuick,
                              .rank = 0,
                              .hosts = {"n1", "n2"},
                              .speaks = true,
                              .link = WatchdogLink{std::move(own), kNonce, {}},
                              .record = nullptr});
        rank.say(PacketKind::kBeat, *to_root);
        rank.heard_from();
        root.leave_with_others();
        std::exit(0);
      },
      ExitedWithCode(76), "^rank 1 .n2.: phase end, silent for 0 s\n");
  EXPECT_EXIT(
      {
        ProgressBoard board;
        UdpSocket own;
        Stopped root;
        const auto to_root = *own.peer("127.0.0.1", root.socket().port());
        Watchdog rank(board, {.rule = kQuick,
                              .rank = 1,
                              .hosts = {"n1", "n2"},
                              .speaks = true,
                              .link = WatchdogLink{std::move(own), kNonce, {to_root}},
                              .record = nullptr,
                              .voice = Voice(false),
                              .conclusion = conclusion});
        root.say(PacketKind::kAnswer, root.heard_from());
        rank.leave_with_others();
        std::exit(0);
      },
      ExitedWithCode(76),
      "^rank 0 .n1.: phase end, silent for 0 s; its phase is as last heard, 0 s ago\n"
      "nothing is lost\nrank 1 .n2.: its main thread is in");
}

TEST_F(WatchdogDeathTest, WhatIsLeftOfAProcessIsBounded) {
  EXPECT_EXIT(
      {
        leave_within(0.2, 75, "rank 1 (n1)");
        std::this_thread::sleep_for(10s);
        std::exit(0);
      },
      ExitedWithCode(75),
      "^rank 1 .n1.: does not get to its end within 0.2 s after its work; leaves with exit code "
      "75");
}

TEST(Watchdog, Rank0HearsOfAStopSignalThatCameToAnother) {
  ProgressBoard board;
  std::atomic<int> received = 0;
  std::atomic<int> heard = 0;
  UdpSocket at_root;
  UdpSocket at_rank;
  const auto to_root = *at_rank.peer("127.0.0.1", at_root.port());
  // Beats alone would come too late.
  const StallRule rule{.heartbeat_seconds = 60, .stall_seconds = 2};
  const Watchdog root(board, {.rule = rule,
                              .rank = 0,
                              .hosts = {"n1", "n2"},
                              .speaks = true,
                              .link = WatchdogLink{std::move(at_root), kNonce, {}},
                              .record = nullptr,
                              .heard_stop_signal = [&](int signal) { heard = signal; }});
  const Watchdog rank(board, {.rule = rule,
                              .rank = 1,
                              .hosts = {"n1", "n2"},
                              .speaks = true,
                              .link = WatchdogLink{std::move(at_rank), kNonce, {to_root}},
                              .record = nullptr,
                              .stop_signal = [&] { return received.load(); }});
  Stopped stranger;
  std::this_thread::sleep_for(500ms);
  stranger.socket().send(encode({PacketKind::kBeat, 1, 99, {}, 0, 15}, kNonce + 1), to_root);
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(heard, 0) << "of another job's packet, or of none";
  received = 10;
  for (int i = 0; i < 100 && heard == 0; ++i)
    std::this_thread::sleep_for(50ms);
  EXPECT_EQ(heard, 10);
}

}  // namespace
}  // namespace lockstep
