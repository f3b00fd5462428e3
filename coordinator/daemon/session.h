#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/comm.h"
#include "common/file_system.h"
#include "coordinator/daemon/own_loop.h"
#include "coordinator/daemon/supervision.h"
#include "coordinator/retention_worker.h"

namespace lockstep {

// What main has found out before MPI: on rank 0 the encoded configuration, or the error to throw.
using ReadConfig = std::function<std::string()>;

enum class Purpose : std::uint8_t {
  kTrain,
  kEvaluate,  // load what the decision says, evaluate, print the metrics; claims and writes nothing
  kCheck,     // preflight: try what the job will rely on, print what was found
};

// One job, from the configuration to its end: DESIGN's "From launch to first iteration", then the
// training, then outcome.json. Collective over `comm`. Gives the exit code, the same on every rank;
// rank 0 has printed what there is to say. With retention on its own thread `files` is used by two
// threads at once. Throws MpiError, and what is a bug.
// `own`: the training is its loop and not lockstep's.
// `supervision`: watches on after the session, until all ranks have ended alike.
int run_session(const Comm& comm, FileSystem& files, const ReadConfig& read_config,
                Supervision& supervision, Purpose purpose = Purpose::kTrain,
                RunsOn retention_runs_on = RunsOn::kOwnThread, const OwnBody& own = {});

}  // namespace lockstep
