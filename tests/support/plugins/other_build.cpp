// Says that it was built with something else. Nothing of it may be called then.

#include <cstdlib>

#include "worker/plugin_abi.h"

using lockstep::kPluginAbi;

extern "C" lockstep::PluginInfo lockstep_plugin_info() {
  return {LOCKSTEP_TEST_BUILD};
}

extern "C" lockstep::Task* lockstep_make_task(const lockstep::PluginArguments&) {
  std::abort();
}
