#include "coordinator/cli/command.h"

namespace lockstep::cli {

std::vector<Command> add_missing(CLI::App& parent) {
  std::vector<Command> commands;
  for (const char* name : {"verify", "diff", "prune", "pin", "unpin", "export", "status", "save",
                           "stop", "ui", "doctor", "rehearse"}) {
    auto* app = parent.add_subcommand(name, "(not in this version)");
    app->allow_extras();
    commands.push_back({app, [name](FileSystem&) -> int {
                          throw Error(ErrorCode::kInvalidConfig,
                                      std::string(name) + ": not in this version");
                        }});
  }
  return commands;
}

}  // namespace lockstep::cli
