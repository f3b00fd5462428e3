#pragma once

#include <cstdint>
#include <string>

#include <torch/version.h>

#include "worker/task.h"

// What lockstepd and a plugin must have alike, and how each knows it of the other. Plugins include
// worker/plugin.h.
namespace lockstep {

// Raised whenever what a plugin is compiled with changes: this file, task.h, partition.h,
// model_tensors.h, data_order.h, error.h.
constexpr std::int64_t kPluginAbi = 3;

constexpr const char* kPluginInfoSymbol = "lockstep_plugin_info";
constexpr const char* kPluginTaskSymbol = "lockstep_make_task";

// What a plugin was built with. `abi` stays the first member in every version: the others are read
// only where it is equal.
struct PluginInfo {
  std::int64_t abi = 0;
  const char* standard_library = "";  // which std::string and std::vector those of Task are
  const char* libtorch = "";          // "2.15.0"
};

// What a plugin's task is made from.
struct PluginArguments {
  std::string options;     // task.options as written, "" where it is absent
  std::string data_path;   // data.path, absolute; "" where it is absent
  std::uint64_t seed = 0;  // run.seed; initialize() gets it too
  int threads = 1;         // that the task may compute with; LibTorch is already told so
};

using PluginInfoFunction = PluginInfo();
using PluginTaskFunction = Task*(const PluginArguments&);

// Pure: that of who compiles it.
constexpr PluginInfo plugin_info_here() {
#if defined(_LIBCPP_VERSION)
  constexpr const char* kStandardLibrary = "libc++";
#elif defined(_GLIBCXX_DEBUG)
  constexpr const char* kStandardLibrary = "libstdc++ in debug mode";
#elif defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI == 0
  constexpr const char* kStandardLibrary = "libstdc++ with the std::string before C++11";
#else
  constexpr const char* kStandardLibrary = "libstdc++";
#endif
  return {.abi = kPluginAbi, .standard_library = kStandardLibrary, .libtorch = TORCH_VERSION};
}

}  // namespace lockstep
