#include "coordinator/cli/terminal.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

#include "common/names.h"

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

bool has_utf8() {
  auto name = locale();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name.find("utf-8") != std::string::npos || name.find("utf8") != std::string::npos;
}

}  // namespace

Screen screen_of_stdout(bool ascii) {
  if (::isatty(STDOUT_FILENO) != 1) return {};
  Screen screen;
  screen.addressable = !environment("TERM").empty() && environment("TERM") != "dumb";
  screen.colour = environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  screen.unicode = !ascii && has_utf8();
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    screen.columns = size.ws_col;
    screen.rows = size.ws_row;
  }
  if (screen.columns == 0)
    screen.columns = static_cast<std::size_t>(parse_number(environment("COLUMNS")).value_or(0));
  return screen;
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
