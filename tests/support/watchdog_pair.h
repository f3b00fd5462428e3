#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>

#include "coordinator/watchdog/watchdog.h"

namespace lockstep::testing {

inline constexpr StallRule kQuick{
    .heartbeat_seconds = 0.05, .stall_seconds = 0.4, .join_seconds = 0.4};
inline constexpr std::uint64_t kNonce = 42;

// Each in a process that begins anew: a forked one has lost its threads.
class WatchdogDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

inline std::optional<std::size_t> next_packet(const UdpSocket& socket, std::span<std::byte> into,
                                              UdpPeer& from) {
  pollfd ready{.fd = socket.fd(), .events = POLLIN, .revents = 0};
  ::poll(&ready, 1, 2000);
  return socket.receive(into, from);
}

// Two ranks in one process, each with a board.
struct Pair {
  explicit Pair(const StallRule& rule) {
    UdpSocket at_root;
    UdpSocket at_rank;
    const auto to_root = at_rank.peer("127.0.0.1", at_root.port());
    // One that leads nowhere comes first.
    std::vector<UdpPeer> ways = {*at_rank.peer("127.0.0.1", 9), *to_root};
    root = std::make_unique<Watchdog>(
        root_board,
        WatchdogSetup{
            rule, 0, {"n1", "n2"}, true, WatchdogLink{std::move(at_root), kNonce, {}}, nullptr});
    rank = std::make_unique<Watchdog>(
        rank_board, WatchdogSetup{rule,
                                  1,
                                  {"n1", "n2"},
                                  true,
                                  WatchdogLink{std::move(at_rank), kNonce, std::move(ways)},
                                  nullptr});
  }
  ProgressBoard root_board;
  ProgressBoard rank_board;
  std::unique_ptr<Watchdog> root;
  std::unique_ptr<Watchdog> rank;
};

}  // namespace lockstep::testing
