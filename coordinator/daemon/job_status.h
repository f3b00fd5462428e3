#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/config.h"
#include "common/log.h"
#include "coordinator/status/service.h"

namespace lockstep {

// Pure: whether a configuration has a job say how it is getting on: control.listen,
// metrics.textfile.
bool shows_status(const LoadedConfig& loaded);

// Rank 0's, local: serves the claimed attempt's status as its configuration says, and logs where.
// What can't be had is a warning: training goes on without it. nullptr: nothing is shown.
// `figures` and `log` must outlive it.
std::unique_ptr<StatusService> show_status(const LoadedConfig& loaded, const std::string& store,
                                           std::int64_t attempt, const JobBoard& figures,
                                           const Log& log);

}  // namespace lockstep
