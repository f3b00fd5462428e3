#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/terminal.h"

namespace lockstep::cli {

struct Cell {
  // Implicit: most cells are plain text.
  Cell(std::string given) : text(std::move(given)) {}  // NOLINT(google-explicit-constructor)
  Cell(const char* given) : text(given) {}             // NOLINT(google-explicit-constructor)
  Cell(std::string given, Colour wanted) : text(std::move(given)), colour(wanted) {}

  std::string text;
  Colour colour = Colour::kNone;
};
using Row = std::vector<Cell>;

// What is too long for the screen: goes on below in its column, or is cut, where each row is to
// stay one line.
enum class TooLong : std::uint8_t { kWraps, kIsCut };

// Pure: columns of equal width, two spaces between, no trailing blanks, control characters escaped.
// Where the screen is too narrow for all, the widest are made smaller, the first one last.
std::string table(const std::vector<Row>& rows, const Screen& screen = {},
                  TooLong too_long = TooLong::kWraps);

}  // namespace lockstep::cli
