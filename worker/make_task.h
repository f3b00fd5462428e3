#pragma once

#include <memory>

#include "common/config.h"
#include "worker/task.h"

namespace lockstep {

// Local: the task that the configuration names, its data loaded. `threads`: that the task may
// compute with (see collectives.h, host_share).
// Error(kInvalidConfig), (kNotFound), (kDamaged), (kIo): text names the path and gives advice.
std::unique_ptr<Task> make_task(const LoadedConfig& loaded, int threads);

}  // namespace lockstep
