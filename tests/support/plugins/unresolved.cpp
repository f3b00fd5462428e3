// Needs a function that nobody has.

#include "worker/plugin.h"

namespace elsewhere {
lockstep::Task* make(int width);
}

lockstep::Task* lockstep_make_task(const lockstep::PluginArguments& arguments) {
  return elsewhere::make(arguments.threads);
}
