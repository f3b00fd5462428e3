#pragma once

#include <string>
#include <variant>
#include <vector>

#include "coordinator/cli/command.h"
#include "coordinator/cli/complaint.h"

namespace lockstep::cli {

// What a command line asks for.
struct Usage {  // text to print: a help text or the version
  std::string text;
};
using Parsed = std::variant<const Command*, Usage, Complaint>;

// Fills in what the chosen command's arguments and options point to.
Parsed parse_command_line(const std::vector<Command>& commands, int argc, const char* const* argv);

}  // namespace lockstep::cli
