#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>

#include "common/comm.h"
#include "common/config.h"
#include "common/error.h"
#include "common/file_system.h"
#include "coordinator/daemon/supervision.h"
#include "coordinator/heartbeat.h"
#include "coordinator/requests.h"
#include "worker/recent_median.h"
#include "worker/stop_signals.h"
#include "worker/tick.h"

namespace lockstep {

inline std::set<std::string> threads() {
  std::set<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
    all.insert(entry.path().filename());
  return all;
}

// CPU time of all threads that are not in `others`: the first number of schedstat, nanoseconds.
inline double cpu_us(const std::set<std::string>& others) {
  double sum_ns = 0;
  for (const auto& thread : threads()) {
    if (others.contains(thread)) continue;
    std::ifstream file("/proc/self/task/" + thread + "/schedstat");
    double ns = 0;
    file >> ns;
    sum_ns += ns;
  }
  return sum_ns / 1000;
}

// What a training thread has beside it, and its calls to them in an iteration.
class Beside {
 public:
  // iteration_s: that an iteration takes.
  Beside(const Comm& comm, FileSystem& files, const std::string& folder, double iteration_s)
      : iteration_s_(iteration_s) {
    loaded_.paths.store = folder;
    start_watchdog(comm, loaded_, supervision_);
    if (comm.is_root())
      heartbeat_.emplace(files, folder + "/heartbeat", loaded_.config.watchdog.heartbeat_seconds);
    supervision_.board.enter(Phase::kTrain);
  }

  TickVote vote() {
    TickVote vote{.signal = stop_signal_received()};
    vote.stop = requests_.take(Asked::kStop);
    vote.save = requests_.take(Asked::kSave);
    return vote;
  }

  // As training does, it asks whether the heartbeat is written. One that is not costs nothing.
  void note(std::int64_t iteration) {
    auto& board = supervision_.board;
    { const AtWork at_work(board); }
    board.pass();
    board.move();
    board.pass();
    seconds_.add(iteration_s_);
    work_seconds_.add(iteration_s_);
    board.set_iteration_seconds(seconds_.value());
    board.set_work_seconds(work_seconds_.value());
    if (!heartbeat_) return;
    heartbeat_->set_iteration(iteration);
    if (const auto why = heartbeat_->failure()) throw Error(ErrorCode::kIo, *why);
  }

 private:
  const double iteration_s_;
  LoadedConfig loaded_;
  Supervision supervision_;
  std::optional<HeartbeatWriter> heartbeat_;
  RequestBox requests_;
  RecentMedian seconds_;
  RecentMedian work_seconds_;
};

}  // namespace lockstep
