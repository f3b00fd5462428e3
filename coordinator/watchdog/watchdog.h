#pragma once

#include <memory>

#include "common/progress_board.h"
#include "coordinator/watchdog/duty.h"

namespace lockstep {

// A rank's watchdog: a thread that ends the process with 76 where the job hangs, after the ranks to
// blame are named, with host and phase. It never calls MPI and takes no lock of the training
// thread.
//
// 1. Each rank but 0 sends its standing to rank 0 each heartbeat; rank 0 answers with its own.
// 2. Rank 0 judges by its own clock (rank_roll.h). Where the job hangs: it names the culprits, has
//    it recorded, orders the others to end, and leaves.
// 3. A rank that had answers of rank 0 and has none any more for the limit names it, and leaves.
// One
//    on each host does so first. The launcher then wakes what is stopped, to end it: where that is
//    rank 0, it finds word of what was said, and goes on as in 2.
// 4. Whoever leaves prints where its training thread is.
// Whatever does not come from this job's ranks changes nothing. Cost: a wake-up and a packet or two
// each heartbeat; on rank 0 a packet in and one out for each rank.
class Watchdog {
 public:
  // Local, on the training thread, which is the one watched. `board` must outlive it.
  Watchdog(const ProgressBoard& board, WatchdogSetup setup);
  ~Watchdog();  // tells the others that this rank is not to be missed; joins the thread
  // The last thing of a job that has done its work, and would make the launcher wait for a rank
  // that hangs behind MPI's end: blocks until all ranks are here. Where one is not for the limits,
  // the job ends with 76 as in 2 and 3, and the launcher ends what hangs. Ranks that have no way to
  // each other do not wait.
  void leave_with_others();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
