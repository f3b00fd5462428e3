#include "coordinator/cli/command_line.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "common/revision.h"
#include "common/version.h"
#include "coordinator/cli/help.h"
#include "coordinator/option_hints.h"

namespace lockstep::cli {

namespace {

void add_option(CLI::App& app, const Option& option) {
  if (auto* const* set = std::get_if<bool*>(&option.into)) {
    app.add_flag(option.name, **set);
  } else if (auto* const* text = std::get_if<std::string*>(&option.into)) {
    auto* added = app.add_option(option.name, **text);
    if (!option.choices.empty()) added->check(CLI::IsMember(option.choices));
  } else if (auto* const* perhaps = std::get_if<std::optional<std::string>*>(&option.into)) {
    app.add_option_function<std::string>(
        option.name, [into = *perhaps](const std::string& given) { *into = given; });
  } else {
    app.add_option(option.name, *std::get<std::vector<std::string>*>(option.into))
        ->allow_extra_args(false);
  }
}

void add_command(CLI::App& parent, const Command& command) {
  auto* app = parent.add_subcommand(command.name);
  for (const auto& argument : command.arguments)
    app->add_option(argument.name, *argument.into)->required(argument.required);
  for (const auto& option : command.options)
    add_option(*app, option);
}

// What other tools call it.
std::string known_as(const std::string& given) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kNames = {{
      {"list", "ls"},
      {"log", "ls"},
      {"info", "show"},
      {"cat", "show"},
      {"restore", "plan"},
      {"check", "verify"},
      {"fsck", "verify"},
      {"compare", "diff"},
      {"delete", "prune"},
      {"rm", "prune"},
      {"gc", "prune"},
      {"keep", "pin"},
      {"checkpoint", "save"},
      {"cancel", "stop"},
      {"preflight", "doctor"},
  }};
  for (const auto& [name, ours] : kNames)
    if (name == given) return std::string(ours);
  return "";
}

Complaint unknown_command(const std::string& given, const std::vector<Command>& commands) {
  if (const auto ours = known_as(given); !ours.empty())
    return {"unknown command '" + given + "'; here that is '" + ours + "'",
            "lockstep " + ours + " --help shows the use"};
  std::vector<std::string> names;
  for (const auto& command : commands)
    names.push_back(command.name);
  return {"unknown command '" + given + "'" + did_you_mean(given, names),
          "lockstep --help lists the commands"};
}

// Names an option that the command does not have; else what the parser says.
Complaint complaint_at(const CLI::ParseError& error, const Command& command,
                       const std::vector<std::string>& words) {
  std::vector<std::string> names = {"--help", "-h"};
  for (const auto& option : command.options)
    names.push_back(option.name);
  auto [cause, advice] = hint_at(words, names);
  if (cause.empty()) cause = in_our_words(error.what());
  std::ranges::replace(cause, '\n', ' ');
  if (advice.empty()) advice = "lockstep " + command.name + " --help shows the use";
  return {std::move(cause), std::move(advice)};
}

}  // namespace

namespace {

// lockstep help, lockstep help COMMAND.
Parsed help_command(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  if (words.empty()) return Usage{help_of(commands)};
  const auto chosen = std::ranges::find(commands, words.front(), &Command::name);
  if (chosen == commands.end()) return unknown_command(words.front(), commands);
  return Usage{help_of(*chosen)};
}

std::string version_text() {
  return version_line("lockstep", source_revision()) + "\n" + build_text() + "\n" +
         libraries_of_both() + "\n";
}

}  // namespace

Parsed parse_command_line(const std::vector<Command>& commands, int argc, const char* const* argv) {
  if (argc < 2) return Complaint{"no command", "lockstep --help lists the commands"};
  const std::string given = argv[1];
  if (given == "help") return help_command(commands, {argv + 2, argv + argc});
  const auto chosen = std::ranges::find(commands, given, &Command::name);
  if (chosen == commands.end() && !given.starts_with("-")) return unknown_command(given, commands);
  if (given == "--version") return Usage{version_text()};
  CLI::App app("", "lockstep");
  app.require_subcommand(1);
  for (const auto& command : commands)
    add_command(app, command);
  try {
    app.parse(argc, argv);
    return &*chosen;
  } catch (const CLI::CallForHelp&) {
    return Usage{chosen == commands.end() ? help_of(commands) : help_of(*chosen)};
  } catch (const CLI::ParseError& e) {
    if (chosen == commands.end())
      return Complaint{"unknown option '" + given + "'", "lockstep --help shows the use"};
    return complaint_at(e, *chosen, {argv + 2, argv + argc});
  }
}

}  // namespace lockstep::cli
