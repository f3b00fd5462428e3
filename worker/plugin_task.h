#pragma once

#include <memory>

#include "common/config.h"
#include "worker/task.h"

namespace lockstep {

// The task `plugin`: one that the shared object at loaded.paths.library makes (worker/plugin.h). It
// stays loaded until the process ends, since what it throws may outlive the task.
//
// Local. Error: texts are one line, name the path and give advice. (kNotFound): it is not there;
// (kMismatch): built with another version of the interface, another standard library or LibTorch;
// (kInvalidConfig): it can't be loaded, is no plugin, gives no task, or one that can't be trained:
// without a parameter or sample, with a name or shape that no checkpoint holds. What its factory
// throws keeps its code where it is an Error.
std::unique_ptr<Task> make_plugin_task(const LoadedConfig& loaded, int threads);

}  // namespace lockstep
