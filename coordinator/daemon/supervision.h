#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/comm.h"
#include "common/config.h"
#include "common/progress_board.h"
#include "coordinator/status/job_board.h"
#include "coordinator/watchdog/launch_guard.h"
#include "coordinator/watchdog/watchdog.h"

namespace lockstep {

// What the watchdog needs to write outcome.json where the training thread can't any more.
struct AttemptNote {
  std::string store_id;                     // written before:
  std::atomic<std::int64_t> attempt{0};     // 0: none is claimed
  std::atomic<std::int64_t> committed{-1};  // iteration; -1: none
  std::atomic<bool> ended{false};           // whoever sets it writes the outcome
  std::atomic<bool> closed{false};          // the outcome is written
  std::atomic<bool> done{false};            // all ranks are at their end, with exit code 0
};

// What watches over a launch, from main until MPI is finalized. One on every rank.
struct Supervision {
  std::unique_ptr<LaunchGuard> launch;  // until the watchdog takes over
  ProgressBoard board;
  JobBoard figures{board};  // for people to see: rank 0's
  std::shared_ptr<AttemptNote> note = std::make_shared<AttemptNote>();
  std::atomic<int> heard_stop_signal{0};  // rank 0's: what came to another rank; 0: none
  std::unique_ptr<Watchdog> watchdog;     // last: it looks at the board
};

// Starts the watchdogs of all ranks; what can't be had of a network is a warning.
//
// Collective over `comm`. Throws AgreedError: a bug. Cost: a gather of host names and a broadcast
// of rank 0's addresses and the job's nonce.
void start_watchdog(const Comm& comm, const LoadedConfig& loaded, Supervision& supervision);

}  // namespace lockstep
