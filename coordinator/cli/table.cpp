#include "coordinator/cli/table.h"

#include <algorithm>
#include <numeric>

#include "common/log.h"
#include "coordinator/cli/text_width.h"

namespace lockstep::cli {

namespace {

constexpr std::size_t kBetween = 2;

std::vector<std::size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], width_of(row[i].text));
    }
  return widths;
}

// Takes from the widest until all fit, so that what is narrow stays whole; from the first, which
// names the row, only once nothing else has much left.
void fit(std::vector<std::size_t>& widths, std::size_t columns) {
  constexpr std::size_t kLittle = 8;
  if (widths.empty()) return;
  auto all = std::accumulate(widths.begin(), widths.end(), kBetween * (widths.size() - 1));
  for (; all > columns; --all) {
    auto widest = std::max_element(widths.begin() + 1, widths.end());
    if (widest == widths.end() || *widest <= kLittle) widest = std::ranges::max_element(widths);
    if (*widest <= 1) return;
    --*widest;
  }
}

// The lines of each cell of a row.
using Lines = std::vector<std::vector<std::string>>;

Lines lines_of(const Row& row, const std::vector<std::size_t>& widths, const Screen& screen,
               TooLong too_long) {
  Lines lines;
  for (std::size_t i = 0; i < row.size(); ++i)
    lines.push_back(too_long == TooLong::kWraps
                        ? wrapped(row[i].text, widths[i])
                        : std::vector{cut_to(row[i].text, widths[i], screen.unicode)});
  return lines;
}

void add_line(std::string& text, const Row& row, const Lines& lines, std::size_t at,
              const std::vector<std::size_t>& widths, bool colour) {
  std::size_t blanks = 0;  // owed; never paid at the end of a line
  for (std::size_t i = 0; i < row.size(); ++i) {
    const auto part = at < lines[i].size() ? lines[i][at] : std::string();
    if (!part.empty()) {
      text += std::string(blanks, ' ') + painted(part, colour ? row[i].colour : Colour::kNone);
      blanks = 0;
    }
    blanks += widths[i] - std::min(width_of(part), widths[i]) + kBetween;
  }
  text += "\n";
}

}  // namespace

std::string table(const std::vector<Row>& rows, const Screen& screen, TooLong too_long) {
  auto safe = rows;
  for (auto& row : safe)
    for (auto& cell : row)
      cell.text = escape_controls(cell.text);
  auto widths = widths_of(safe);
  if (screen.columns > 0) fit(widths, screen.columns);
  std::string text;
  for (const auto& row : safe) {
    const auto lines = lines_of(row, widths, screen, too_long);
    std::size_t most = 1;
    for (const auto& one : lines)
      most = std::max(most, one.size());
    for (std::size_t at = 0; at < most; ++at)
      add_line(text, row, lines, at, widths, screen.colour);
  }
  return text;
}

}  // namespace lockstep::cli
