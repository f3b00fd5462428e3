#include "common/error.h"
#include "coordinator/cli/commands.h"

namespace lockstep::cli {

std::vector<Command> missing_commands() {
  std::vector<Command> commands;
  for (const char* name : {"ui"}) {
    Command command;
    command.name = name;
    command.purpose = "(not in this version)";
    command.exit_codes = {{2, "always"}};
    command.takes_anything = true;
    command.run = [name](FileSystem&) -> int {
      throw Error(ErrorCode::kInvalidConfig, std::string(name) + ": not in this version");
    };
    commands.push_back(std::move(command));
  }
  return commands;
}

}  // namespace lockstep::cli
