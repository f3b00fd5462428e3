#include "coordinator/config_text.h"

#include <algorithm>
#include <cstdint>

#include "common/error.h"

namespace lockstep {
namespace {

constexpr std::size_t kShownBytes = 60;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

std::string hex_byte(char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return {kDigits[byte >> 4U], kDigits[byte & 15U]};
}

// Bytes of the UTF-8 character that begins `text`; 0 where there is none.
std::size_t character_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  std::size_t bytes = 0;
  if (lead >= 0xC2 && lead <= 0xDF) bytes = 2;
  if (lead >= 0xE0 && lead <= 0xEF) bytes = 3;
  if (lead >= 0xF0 && lead <= 0xF4) bytes = 4;
  if (bytes == 0 || text.size() < bytes) return 0;
  if (!std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(bytes), continues))
    return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  if (lead == 0xE0 && second < 0xA0) return 0;  // overlong
  if (lead == 0xED && second > 0x9F) return 0;  // a surrogate
  if (lead == 0xF0 && second < 0x90) return 0;  // overlong
  if (lead == 0xF4 && second > 0x8F) return 0;  // beyond U+10FFFF
  return bytes;
}

}  // namespace

void fail(const Place& place, const std::string& text) {
  throw Error(ErrorCode::kInvalidConfig, place.text + ": " + text);
}

std::string escaped(std::string_view text) {
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = character_bytes(text.substr(at));
    const bool is_shown = bytes > 0 && !is_control(text[at]);
    shown += is_shown ? std::string(text.substr(at, bytes)) : "\\x" + hex_byte(text[at]);
    at += std::max<std::size_t>(bytes, 1);
  }
  return shown;
}

std::string printable(std::string_view text) {
  if (text.size() <= kShownBytes) return escaped(text);
  std::size_t end = kShownBytes;
  while (end > 0 && continues(text[end]))
    --end;
  return escaped(text.substr(0, end)) + "...";
}

std::string alternatives(const std::vector<std::string>& words) {
  std::string list;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) list += i + 1 == words.size() ? " or " : ", ";
    list += words[i];
  }
  return list;
}

std::size_t invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = character_bytes(text.substr(at));
    if (bytes == 0) return at;
    at += bytes;
  }
  return std::string_view::npos;
}

SourceText::SourceText(std::string_view text, std::string_view name, bool has_lines)
    : text_(text), name_(name), has_lines_(has_lines), starts_{0}, characters_{0} {
  characters_.reserve(text.size() + 1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') starts_.push_back(i + 1);
    characters_.push_back(characters_.back() + (continues(text[i]) ? 0 : 1));
  }
}

std::size_t SourceText::line_index(std::size_t offset) const {
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), offset);
  return static_cast<std::size_t>(after - starts_.begin()) - 1;
}

Place SourceText::place(std::size_t offset) const {
  if (!has_lines_) return {std::string(name_), 0};
  offset = std::min(offset, text_.size());
  const std::size_t line = line_index(offset);
  const std::size_t column = characters_[offset] - characters_[starts_[line]] + 1;
  return {std::string(name_) + ":" + std::to_string(line + 1) + ":" + std::to_string(column),
          line + 1};
}

std::size_t SourceText::offset(int line, int byte_column) const {
  if (line < 0) return 0;
  const auto index = std::min(static_cast<std::size_t>(line), starts_.size() - 1);
  const auto column = static_cast<std::size_t>(std::max(byte_column, 0));
  return std::min(starts_[index] + column, text_.size());
}

std::string_view SourceText::line_of(std::size_t offset) const {
  const std::size_t begin = starts_[line_index(std::min(offset, text_.size()))];
  const std::size_t end = std::min(text_.find_first_of("\r\n", begin), text_.size());
  return text_.substr(begin, end - begin);
}

void SourceText::check_characters() const {
  if (const std::size_t at = invalid_utf8(text_); at != std::string_view::npos) {
    fail(place(at), "not UTF-8: byte 0x" + hex_byte(text_[at]) + "; save the file as UTF-8");
  }
  for (std::size_t at = 0; at < text_.size(); ++at) {
    const char c = text_[at];
    if (is_control(c) && c != '\t' && c != '\n' && c != '\r') {
      fail(place(at), "control character 0x" + hex_byte(c) + "; take it out");
    }
  }
}

}  // namespace lockstep
