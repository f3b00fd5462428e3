#pragma once

#include <vector>

#include "coordinator/cli/command.h"

namespace lockstep::cli {

Command ls_command();
Command show_command();
Command plan_command();
Command verify_command();
Command diff_command();
Command export_command();
Command pin_command();
Command unpin_command();
Command prune_command();
Command status_command();
Command top_command();
Command save_command();
Command stop_command();
Command doctor_command();
Command rehearse_command();
Command ui_command();
// Of a shell, for these commands.
Command completion_command(const std::vector<Command>& commands);

// All of them, in the order of the help text.
std::vector<Command> all_commands();

}  // namespace lockstep::cli
