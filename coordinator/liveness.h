#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/attempt_records.h"
#include "common/error.h"
#include "common/file_system.h"
#include "coordinator/run_identity.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Whether the newest attempt is still at work: DESIGN, "From launch to first iteration", 1.
//
// 1. An attempt with an outcome has ended. 2. The same boot and pid namespace and its process gone:
// dead at once. 3. Else its heartbeat is read promptly, a period apart: a change is life, unchanged
// in three reads after the first is death. No clock of another host is ever compared.

enum class Life : std::uint8_t { kAlive, kDead, kUnsure };

// What this host says of a claim's process. kElsewhere: nothing; it runs on another host, or this
// user may not look at it.
enum class LocalSight : std::uint8_t { kElsewhere, kThere, kGone };

// Pure: `reads` are the heartbeats read so far, a period apart, nullopt where there was none.
Life judge_life(LocalSight sight, const std::vector<std::optional<Heartbeat>>& reads);

// Pure: what to do beside an attempt that is alive.
struct Reaction {
  double wait_seconds = 0;             // how long to wait for its outcome; 0: not at all
  ErrorCode code = ErrorCode::kInUse;  // where it is still alive then
  bool takes_over = false;  // ... but an earlier launch of the same Slurm job is taken over
  std::string text;         // by which run, host, job, process
};
Reaction react_to(const AttemptView& alive, const RunIdentity& run);

// Local: this process, and whether the claim's is visible here.
ProcessId this_process();
LocalSight look_for(const ProcessId& process);

// A clock and a way to wait, so that protocols are tested without sleeping.
struct Clock {
  std::function<double()> now_s;  // monotonic
  std::function<void(double seconds)> sleep;
};
Clock steady_clock();

// Local: the looks at an attempt that has no outcome, a period apart. Error(kIo) as watch().
class HeartbeatWatch {
 public:
  HeartbeatWatch(const FileSystem& files, const std::string& store, const AttemptView& attempt)
      : files_(files), store_(store), attempt_(attempt) {}

  // kAlive: it has beaten since the last look; kUnsure: it has not, but that may be chance.
  Life look();

 private:
  const FileSystem& files_;
  const std::string& store_;
  const AttemptView& attempt_;
  std::vector<std::optional<Heartbeat>> reads_;  // since it was last seen alive
};

// Local: tried again where it can't be told.
bool has_outcome(const FileSystem& files, const std::string& store, std::int64_t attempt);

// Local: watches `attempt` until it is clear whether it is alive. kUnsure is never returned. A
// heartbeat that can't be read is neither life nor death: tried again, a few times, then
// Error(kIo).
// `own_period_s`: the reader's own, which counts where the claim can't be read.
Life watch(const FileSystem& files, const std::string& store, const AttemptView& attempt,
           const Clock& clock, double own_period_s = kUsualPeriodSeconds);

}  // namespace lockstep
