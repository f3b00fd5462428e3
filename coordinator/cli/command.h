#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/file_system.h"

namespace lockstep::cli {

// What a command is, as values: the parser, the help text and the completion are made of them. The
// parser's library is known to command_line.cpp alone: it costs seconds in every file that sees it.

// What a word names, for completion.
enum class Names : std::uint8_t { kText, kStore, kCheckpoint, kFile };

// A word by its place.
struct Argument {
  std::string name;  // "STORE"
  std::string* into;
  std::string help;
  Names names = Names::kText;
  bool required = true;
};

// A word by its name.
struct Option {
  std::string name;   // "--set"
  std::string value;  // "K=V"; "" for a flag
  std::string help;
  // An optional tells an empty text from none; several: repeatable.
  std::variant<bool*, std::string*, std::optional<std::string>*, std::vector<std::string>*> into;
  std::vector<std::string> choices = {};
};

struct ExitCode {
  int code;
  std::string meaning;
};

struct Command {
  std::string name;
  std::string purpose;           // one line, begins with a verb
  std::string description = {};  // paragraphs, for --help
  std::vector<Argument> arguments = {};
  std::vector<Option> options = {};
  std::vector<ExitCode> exit_codes = {};
  std::vector<std::string> examples = {};
  // Results go to stdout, everything else to stderr: exit code back, Error thrown.
  std::function<int(FileSystem&)> run = {};
};

// What most commands have alike.
Argument store_argument(std::string& into);
Argument checkpoint_argument(std::string& into, const std::string& name = "CHECKPOINT");
Option flag(const std::string& name, bool& into, const std::string& help);
// 0 as said, 2 and 3 as all reading commands have them.
std::vector<ExitCode> usual_exit_codes(const std::string& done);

}  // namespace lockstep::cli
