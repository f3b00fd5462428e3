#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/command.h"

namespace lockstep::cli {

// The texts of --help. All: Pure.
std::string help_of(const std::vector<Command>& commands);
std::string help_of(const Command& command);

// "lockstep verify STORE [CHECKPOINT] [--json]"
std::string usage_of(const Command& command);

}  // namespace lockstep::cli
