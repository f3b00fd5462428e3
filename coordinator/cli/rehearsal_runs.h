#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/file_system.h"
#include "coordinator/cli/launched.h"
#include "coordinator/cli/rehearsal.h"
#include "coordinator/cli/rehearsal_watch.h"

namespace lockstep::cli {

// The runs of a rehearsal, each in a store of its own:
//   straight  to the end
//   cut       USR1 to the launcher past a third; launched again
//   killed    kill -9 of rank 0 after the first commit and some iterations; launched again
// What a run does is seen in its store: the heartbeat tells iterations and commits. All: Local.

struct RunDone {
  RunFound found;
  bool too_late = false;  // it ended before it could be interrupted
  double seconds = 0;     // from its first iteration to its outcome; of the first launch
  std::int64_t ranks = 0;
};

// Error(kInvalidConfig) where a launch ends with 2, Error(kIo) where it does not start, fails or
// stands still; the end of its log was said then. Interrupted.
RunDone run_one(const Stage& stage, const Config& config, const Scale& scale, RunKind kind);

std::string store_of(const Stage& stage, RunKind kind);

// Compares the last checkpoint of `done` with straight's, and notes how they differ. Interrupted.
void compare_with(const Stage& stage, RunDone& done);

// Variables of the environment that would make a launch part of something else than its run. The
// job's id stays, by which launchers find their allocation: run.id goes before it.
const std::vector<std::string>& foreign_variables();

}  // namespace lockstep::cli
