#include "coordinator/cli/help.h"

#include <algorithm>
#include <utility>

namespace lockstep::cli {

namespace {

constexpr std::size_t kWidth = 96;

// Breaks text at blanks; lines after the first are indented.
std::string wrap(const std::string& text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    const auto word = text.substr(at, end - at);  // with the border of a paragraph in it, perhaps
    if (column > indent && column + 1 + std::min(word.find('\n'), word.size()) > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    const auto line_end = word.rfind('\n');
    column = line_end == std::string::npos ? column + word.size() : word.size() - line_end - 1;
    at = end + 1;
  }
  return out;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string section(const std::string& title, const Rows& rows) {
  if (rows.empty()) return "";
  std::size_t width = 0;
  for (const auto& [name, text] : rows)
    width = std::max(width, name.size());
  std::string out = "\n" + title + ":\n";
  for (const auto& [name, text] : rows)
    out += "  " + name + std::string(width - name.size() + 2, ' ') + wrap(text, width + 4) + "\n";
  return out;
}

std::string with_value(const Option& option) {
  return option.name + (option.value.empty() ? "" : " " + option.value);
}

Rows rows_of(const std::vector<Argument>& arguments) {
  Rows rows;
  for (const auto& argument : arguments)
    rows.emplace_back(argument.name, argument.help);
  return rows;
}

Rows rows_of(const std::vector<Option>& options) {
  Rows rows;
  for (const auto& option : options)
    rows.emplace_back(with_value(option), option.help);
  rows.emplace_back("--help", "this text");
  return rows;
}

Rows rows_of(const std::vector<ExitCode>& codes) {
  Rows rows;
  for (const auto& code : codes)
    rows.emplace_back(std::to_string(code.code), code.meaning);
  return rows;
}

}  // namespace

std::string usage_of(const Command& command) {
  std::string text = "lockstep " + command.name;
  for (const auto& argument : command.arguments)
    text += argument.required ? " " + argument.name : " [" + argument.name + "]";
  for (const auto& option : command.options) {
    const bool repeats = std::holds_alternative<std::vector<std::string>*>(option.into);
    text += " [" + with_value(option) + "]" + (repeats ? "..." : "");
  }
  return text;
}

std::string help_of(const Command& command) {
  std::string text = "lockstep " + command.name + ": " + command.purpose + "\n\nusage:\n  " +
                     wrap(usage_of(command), 4) + "\n";
  if (!command.description.empty()) text += "\n" + wrap(command.description, 0) + "\n";
  text += section("arguments", rows_of(command.arguments));
  text += section("options", rows_of(command.options));
  text += section("exit codes", rows_of(command.exit_codes));
  if (!command.examples.empty()) text += "\nexamples:\n";
  for (const auto& example : command.examples)
    text += "  " + example + "\n";
  return text;
}

std::string help_of(const std::vector<Command>& commands) {
  Rows rows;
  for (const auto& command : commands)
    rows.emplace_back(command.name, command.purpose);
  std::string text =
      "lockstep: looks at checkpoint stores, and says what a job would restore\n\n"
      "usage:\n  lockstep COMMAND ...\n  lockstep COMMAND --help\n";
  text += section("commands", rows);
  text += section("options", {{"--version", "the version"}, {"--help", "this text"}});
  text += section("exit codes", {{"0", "done, or the answer is yes"},
                                 {"1", "the answer is no: damage, a difference, no job"},
                                 {"2", "a mistake in the command, or no such store or checkpoint"},
                                 {"3", "can't be read or written now"}});
  text +=
      "\nexamples:\n  lockstep ls checkpoints\n  lockstep plan train.yaml\n"
      "  source <(lockstep completion bash)\n";
  return text;
}

}  // namespace lockstep::cli
