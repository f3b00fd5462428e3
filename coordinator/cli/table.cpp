#include "coordinator/cli/table.h"

#include <algorithm>

#include "common/log.h"

namespace lockstep::cli {

namespace {

// Characters, where the text is UTF-8.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::vector<std::size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], width_of(row[i].text));
    }
  return widths;
}

}  // namespace

std::string table(const std::vector<Row>& rows, bool colour) {
  auto safe = rows;
  for (auto& row : safe)
    for (auto& cell : row)
      cell.text = escape_controls(cell.text);
  const auto widths = widths_of(safe);
  std::string text;
  for (const auto& row : safe) {
    std::size_t blanks = 0;  // owed; never paid at the end of a line
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!row[i].text.empty()) {
        text +=
            std::string(blanks, ' ') + painted(row[i].text, colour ? row[i].colour : Colour::kNone);
        blanks = 0;
      }
      blanks += widths[i] - width_of(row[i].text) + 2;
    }
    text += "\n";
  }
  return text;
}

}  // namespace lockstep::cli
