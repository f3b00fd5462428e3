#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <pthread.h>

#include "common/progress_board.h"
#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/packet.h"
#include "coordinator/watchdog/rank_roll.h"
#include "coordinator/watchdog/stall.h"
#include "coordinator/watchdog/udp_socket.h"

namespace lockstep {

// How this rank's watchdog reaches the others.
struct WatchdogLink {
  UdpSocket socket;
  std::uint64_t nonce = 0;
  std::vector<UdpPeer> root;  // where rank 0 may be reached; empty on rank 0
};

struct WatchdogSetup {
  StallRule rule;
  int rank = 0;
  std::vector<std::string> hosts;    // rank 0: of every rank; others: rank 0's and their own
  bool speaks = true;                // is the first to name rank 0 where that is silent
  std::optional<WatchdogLink> link;  // none: this rank is watched by itself alone
  // Rank 0's: leaves word in the store. On a thread of its own; may take for ever.
  std::function<void(const std::vector<Culprit>&)> record;
  Voice voice = Voice(false);
  // What the end means for the training, for who reads the last lines of a log. Another's, where
  // rank 0 is silent: may be empty.
  std::function<std::string()> conclusion = {};
  // Another's: the stop signal that it has received, 0: none.
  std::function<int()> stop_signal = {};
  // Rank 0's: another rank has received one. It may come several times.
  std::function<void(int signal)> heard_stop_signal = {};
  // Rank 0's, each heartbeat: what it knows of all ranks.
  std::function<void(std::vector<RankSight>)> on_look = {};
};

// What a watchdog does, on its thread. Times are counted by an AwakeClock.
class Duty {
 public:
  Duty() = default;
  Duty(const Duty&) = delete;
  Duty& operator=(const Duty&) = delete;
  virtual ~Duty() = default;

  virtual void hear(std::span<const std::byte> bytes, const UdpPeer& from, double now_s) = 0;
  // Each wake interval. Where the job hangs it does not return.
  virtual void tick(double now_s) = 0;
  virtual void leave() = 0;  // this rank has come to its end, whatever the others do
  // It has come to its end, and packets and ticks go on until all_left().
  virtual void part() = 0;
  virtual bool all_left() const = 0;
};

// `watched`: the training thread. `setup` and `board` must outlive it.
//   Rank 0's: answers beats, judges all ranks, ends the job.
//   Another's: beats, obeys rank 0's order to end, names rank 0 where that is silent; where rank 0
//   was never heard it judges itself, at twice the limits, since it can't tell waiting from
//   hanging.
std::unique_ptr<Duty> make_root_duty(const WatchdogSetup& setup, const ProgressBoard& board,
                                     pthread_t watched);
std::unique_ptr<Duty> make_rank_duty(const WatchdogSetup& setup, const ProgressBoard& board,
                                     pthread_t watched);

}  // namespace lockstep
