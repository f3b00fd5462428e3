#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "common/comm.h"
#include "common/config.h"
#include "common/log.h"
#include "common/progress_board.h"
#include "worker/saver.h"
#include "worker/stop_time.h"
#include "worker/tick.h"
#include "worker/training_loop.h"

namespace lockstep {

// What goes on around the iterations of a training loop, lockstep's or another: ticks, what stops
// it, and its saves.
//
// All members but times are equal on all ranks at each tick. All that is given must outlive it.
class LoopControl {
 public:
  // Collective. Training begins now.
  LoopControl(const Comm& comm, const Config& config, const Log& log, ProgressBoard& board,
              const TrainingCallbacks& callbacks);

  // A tick's two ends, where an iteration makes it. Local: what this rank has to say now. Requests
  // are handed out once, hence remembered when heard.
  TickVote vote();
  // Collective: what all have said; carries the save in flight on.
  void hear(const TickVerdict& verdict);
  // Collective: a tick without an iteration; true: training shall stop.
  bool interrupted();
  Tick& tick() { return tick_; }

  // Local.
  bool stopping() const { return stop_.has_value(); }
  void await_snapshot() { saver_.await_snapshot(); }  // before the state changes
  void note_iteration(double seconds) { iterations_took_.add(seconds); }  // rank 0
  SaveChoice save_choice(std::int64_t iteration) const;
  std::optional<std::int64_t> last_saved() const { return saver_.last_saved(); }

  // Collective, with errors as Saver has them.
  // The save that is due at this iteration, if one is; beside training with checkpoint.async. A
  // stop may come while it waits for the one in flight.
  void save_if_due(SaveRequest request);
  // The last one, behind the last iteration.
  void save_last(const SaveRequest& request) { saver_.save_surely(request); }
  // A stop's: how training ends, and the line that says so.
  struct Stopped {
    TrainingEnd end = TrainingEnd::kPreempted;
    std::string message;
  };
  Stopped stop(const SaveRequest& request);
  // A stop before the first iteration.
  Stopped stop_unsaved() const;
  void finish_or_warn() { saver_.finish_or_warn(); }
  // After a failure that all ranks know of: what was good is not lost with what is not.
  void settle();

 private:
  using Clock = std::chrono::steady_clock;
  bool deadline_near();
  double given_to_save();

  const Comm& comm_;
  const Config& config_;
  const Log& log_;
  ProgressBoard& board_;
  const TrainingCallbacks& callbacks_;
  Tick tick_;
  Saver saver_;
  std::optional<TrainingEnd> stop_;  // kPreempted or kStopped, once a tick has said so
  std::string stop_reason_;
  bool stop_by_deadline_ = false;
  bool save_asked_ = false;
  RecentLongest iterations_took_;  // rank 0
  double left_at_start_ = 0;       // rank 0: until the deadline
  Clock::time_point stop_began_;
};

}  // namespace lockstep
