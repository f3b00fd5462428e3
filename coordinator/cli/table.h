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

// Pure: columns of equal width, two spaces between, no trailing blanks, control characters escaped.
// Colours only where `colour`.
std::string table(const std::vector<Row>& rows, bool colour = false);

}  // namespace lockstep::cli
