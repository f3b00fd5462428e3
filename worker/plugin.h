#pragma once

#include "worker/plugin_abi.h"
#include "worker/task.h"

// The header of a plugin: a shared object with a task of your own, for `task: {name: plugin,
// library: PATH.so, options: TEXT}`. It holds one class that is a lockstep::Task (worker/task.h has
// its contract), and the function that makes it:
//
//   #include "worker/plugin.h"
//
//   class Line : public lockstep::Task { ... };  // see deploy/examples/plugin/
//
//   lockstep::Task* lockstep_make_task(const lockstep::PluginArguments& arguments) {
//     return new Line(arguments.data_path, arguments.options);
//   }
//
// and is built by
//
//   find_package(lockstep REQUIRED)
//   add_library(line MODULE line.cpp)
//   target_link_libraries(line PRIVATE lockstep::plugin)
//
// Its functions that are declared in lockstep's headers are lockstepd's own; ModelParameters
// (worker/model_tensors.h) does what models of LibTorch's tensors have in common.

// Yours to define. Every rank calls it once. What it throws ends the job, on all ranks, with its
// text; a lockstep::Error with the exit code of its ErrorCode (common/error.h), anything else with
// 2, as a null pointer does. lockstepd deletes the task. The shared object is never unloaded.
extern "C" [[gnu::visibility("default")]] lockstep::Task* lockstep_make_task(
    const lockstep::PluginArguments& arguments);

// This header's: what lockstepd looks at before it calls anything of yours.
extern "C" [[gnu::visibility("default"), gnu::used]] inline lockstep::PluginInfo
lockstep_plugin_info() {
  return lockstep::plugin_info_here();
}
