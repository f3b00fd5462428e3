#include "coordinator/cli/commands.h"

namespace lockstep::cli {

std::vector<Command> all_commands() {
  std::vector<Command> commands = {
      ls_command(),    show_command(),   plan_command(),     verify_command(),
      diff_command(),  export_command(), pin_command(),      unpin_command(),
      prune_command(), status_command(), top_command(),      save_command(),
      stop_command(),  doctor_command(), rehearse_command(), ui_command()};
  commands.push_back(completion_command(commands));
  return commands;
}

}  // namespace lockstep::cli
