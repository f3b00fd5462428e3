#include "coordinator/cli/text_width.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace lockstep::cli {

namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};
constexpr std::array<Range, 9> kWide = {{{0x1100, 0x115F},
                                         {0x2E80, 0xA4CF},
                                         {0xAC00, 0xD7A3},
                                         {0xF900, 0xFAFF},
                                         {0xFE30, 0xFE6F},
                                         {0xFF00, 0xFF60},
                                         {0xFFE0, 0xFFE6},
                                         {0x1F300, 0x1FAFF},
                                         {0x20000, 0x3FFFD}}};
constexpr std::array<Range, 4> kWithout = {
    {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}}};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, std::uint32_t code) {
  return std::ranges::any_of(ranges,
                             [&](const Range& r) { return r.first <= code && code <= r.last; });
}

struct Character {
  std::size_t bytes = 1;
  std::size_t columns = 1;
};

Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto lead = byte(at);
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (bytes == 1 || at + bytes > text.size()) return {};
  std::uint32_t code = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return {};
    code = (code << 6U) | (byte(at + i) & 0x3FU);
  }
  return {bytes, is_in(kWithout, code) ? std::size_t{0} : is_in(kWide, code) ? 2U : 1U};
}

// Bytes of as much of `text` as fits.
std::size_t fitting(std::string_view text, std::size_t columns) {
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto next = character_at(text, at);
    if (used + next.columns > columns) return at;
    used += next.columns;
    at += next.bytes;
  }
  return text.size();
}

}  // namespace

std::size_t width_of(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto next = character_at(text, at);
    columns += next.columns;
    at += next.bytes;
  }
  return columns;
}

std::string cut_to(std::string_view text, std::size_t columns, bool unicode) {
  if (width_of(text) <= columns) return std::string(text);
  const std::string_view mark = unicode ? "…" : "...";
  const auto mark_columns = std::min(width_of(mark), columns);
  return std::string(text.substr(0, fitting(text, columns - mark_columns))) +
         std::string(unicode && mark_columns > 0 ? mark : mark.substr(0, mark_columns));
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  while (width_of(text) > columns) {
    // At least one character, or there would be no end.
    auto end = std::max(fitting(text, columns), character_at(text, 0).bytes);
    const auto blank = text.rfind(' ', end);
    const bool at_blank = blank != std::string_view::npos && blank > 0;
    if (at_blank) end = blank;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(at_blank ? end + 1 : end);
  }
  if (lines.empty() || !text.empty()) lines.emplace_back(text);
  return lines;
}

}  // namespace lockstep::cli
