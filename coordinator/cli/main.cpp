// lockstep: looks at stores and predicts decisions. Links neither MPI nor LibTorch.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/error.h"
#include "common/file_system.h"
#include "common/log.h"
#include "coordinator/cli/command.h"
#include "coordinator/config_hints.h"

namespace {

using lockstep::cli::Command;

int complain(const std::string& cause, const std::string& advice) {
  std::fprintf(stderr, "lockstep: %s\n", lockstep::escape_controls(cause).c_str());
  if (!advice.empty()) std::fprintf(stderr, "%s\n", advice.c_str());
  return 2;
}

int unknown_command(const std::string& given, const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const auto& command : commands)
    names.push_back(command.app->get_name());
  const auto near = lockstep::nearest(given, names);
  return complain("unknown command '" + given + "'" +
                      (near.empty() ? std::string() : "; did you mean '" + near + "'?"),
                  "lockstep --help lists the commands");
}

int run(const std::vector<Command>& commands) {
  const auto chosen = std::find_if(commands.begin(), commands.end(),
                                   [](const Command& c) { return c.app->parsed(); });
  const auto files = lockstep::make_posix_file_system();
  try {
    const int code = chosen->run(*files);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      complain("can't write the output", "");
      return 3;
    }
    return code;
  } catch (const lockstep::Error& e) {
    complain(e.what(), "");
    return lockstep::exit_code(e.code());
  } catch (const std::exception& e) {
    complain(e.what(), "this is a bug");
    return 3;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Looks at checkpoint stores, and says what a job would restore.", "lockstep");
  app.set_version_flag("--version", std::string("lockstep " LOCKSTEP_VERSION));
  app.require_subcommand(1);
  std::vector<Command> commands = {lockstep::cli::add_ls(app), lockstep::cli::add_show(app),
                                   lockstep::cli::add_plan(app)};
  for (auto& missing : lockstep::cli::add_missing(app))
    commands.push_back(std::move(missing));

  if (argc > 1 && argv[1][0] != '-' &&
      std::none_of(commands.begin(), commands.end(),
                   [&](const Command& c) { return c.app->get_name() == argv[1]; }))
    return unknown_command(argv[1], commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    std::string cause = e.what();
    std::replace(cause.begin(), cause.end(), '\n', ' ');
    return complain(argc < 2 ? "no command" : cause,
                    argc < 2 ? "lockstep --help lists the commands"
                             : "lockstep " + std::string(argv[1]) + " --help shows the use");
  }
  return run(commands);
}
