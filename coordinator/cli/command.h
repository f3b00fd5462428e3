#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/error.h"
#include "common/file_system.h"

namespace lockstep::cli {

// A command puts its options on `app`, and what it does into the callback: exit code back, Error
// thrown. Results go to stdout, everything else to stderr.
struct Command {
  CLI::App* app = nullptr;
  std::function<int(FileSystem&)> run;
};

Command add_ls(CLI::App& parent);
Command add_show(CLI::App& parent);
Command add_plan(CLI::App& parent);
// Commands that DESIGN names and this version lacks: they say so, exit 2.
std::vector<Command> add_missing(CLI::App& parent);

}  // namespace lockstep::cli
