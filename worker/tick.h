#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "common/comm.h"

namespace lockstep {

// What one rank has to say in a tick.
struct TickVote {
  int signal = 0;               // number of the stop signal received, 0 for none
  bool save = false;            // a checkpoint is asked for
  bool stop = false;            // a stop is asked for
  bool nonfinite = false;       // loss or gradients
  bool failed = false;          // this rank can't go on
  bool deadline = false;        // it is time to save, or the deadline comes first
  bool save_under_way = false;  // this rank's part of the save in flight is not done
  bool save_failed = false;     // it has failed
};

// What all ranks then know: for each word the lowest rank that raised it.
struct TickVerdict {
  std::optional<int> signal_rank;
  int signal = 0;
  std::optional<int> save_rank;
  std::optional<int> stop_rank;
  std::optional<int> nonfinite_rank;
  std::optional<int> failed_rank;
  std::optional<int> deadline_rank;
  std::optional<int> save_under_way_rank;
  std::optional<int> save_failed_rank;
};

// The tick: the one small collective that all ranks make each iteration, on a communicator of its
// own, and the only way in which something is agreed while training goes on. A non-blocking
// all-reduce (maximum) of fixed size, so that it hides behind the optimizer step.
class Tick {
 public:
  explicit Tick(const Comm& parent);  // collective
  Tick(const Tick&) = delete;
  Tick& operator=(const Tick&) = delete;

  // Collective, in turn: start, then finish. Throw MpiError only.
  void start(const TickVote& vote);
  TickVerdict finish();

 private:
  Comm comm_;
  std::array<std::int64_t, 8> mine_{};
  std::array<std::int64_t, 8> all_{};
  MPI_Request request_ = MPI_REQUEST_NULL;
};

}  // namespace lockstep
