#include "coordinator/cli/terminal.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string_view>

#include <unistd.h>

namespace lockstep::cli {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value != nullptr ? value : "";
}

// The first of these that is set decides, as setlocale has it.
std::string locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const auto value = environment(name); !value.empty()) return value;
  return "";
}

}  // namespace

bool wants_colour() {
  return ::isatty(STDOUT_FILENO) == 1 && environment("NO_COLOR").empty() &&
         environment("TERM") != "dumb";
}

bool shows_unicode() {
  auto name = locale();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool utf8 =
      name.find("utf-8") != std::string::npos || name.find("utf8") != std::string::npos;
  return utf8 && ::isatty(STDOUT_FILENO) == 1;
}

std::string painted(const std::string& text, Colour colour) {
  switch (colour) {
    case Colour::kGreen:
      return "\x1b[32m" + text + "\x1b[0m";
    case Colour::kRed:
      return "\x1b[31m" + text + "\x1b[0m";
    case Colour::kYellow:
      return "\x1b[33m" + text + "\x1b[0m";
    case Colour::kDim:
      return "\x1b[2m" + text + "\x1b[0m";
    case Colour::kNone:
      break;
  }
  return text;
}

}  // namespace lockstep::cli
