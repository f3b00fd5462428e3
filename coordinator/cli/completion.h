#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/command.h"

namespace lockstep::cli {

// Pure: a script for bash that completes these commands, their options and their arguments;
// checkpoints by `lockstep completion checkpoints STORE`.
std::string bash_completion(const std::vector<Command>& commands);

}  // namespace lockstep::cli
