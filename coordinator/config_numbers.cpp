#include "coordinator/config_numbers.h"

#include <charconv>
#include <cmath>

namespace lockstep {
namespace {

constexpr double kExact = 9007199254740992.0;  // 2^53

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t digits(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end]))
    ++end;
  return end - at;
}

// The end of -?(0|[1-9][0-9]*), or 0 where the text does not begin so.
std::size_t whole_part(std::string_view text) {
  const std::size_t begin = text.starts_with('-') ? 1 : 0;
  const std::size_t count = digits(text, begin);
  if (count == 0 || (count > 1 && text[begin] == '0')) return 0;
  return begin + count;
}

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_plain_decimal(std::string_view text) {
  std::size_t at = whole_part(text);
  if (at == 0) return false;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = digits(text, at + 1);
    if (fraction == 0) return false;
    at += 1 + fraction;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t exponent = digits(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

// Leaves out what no plain number has: '+', '_', leading zeros, a dot without digits beside it.
std::string tidied(std::string_view text) {
  std::string kept;
  for (const char c : text) {
    if (c != '_' && c != ',') kept += c;
  }
  std::string sign;
  if (kept.starts_with('+') || kept.starts_with('-')) {
    sign = kept.starts_with('-') ? "-" : "";
    kept.erase(0, 1);
  }
  while (kept.size() > 1 && kept[0] == '0' && is_digit(kept[1]))
    kept.erase(0, 1);
  if (kept.starts_with('.')) kept.insert(0, "0");
  if (kept.ends_with('.')) kept += '0';
  return sign + kept;
}

}  // namespace

std::optional<Integer> parse_integer(std::string_view text) {
  if (text.empty() || whole_part(text) != text.size()) return std::nullopt;
  Integer integer;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), integer.value);
  integer.too_big = result.ec != std::errc();
  return integer;
}

std::optional<double> parse_decimal(std::string_view text) {
  if (!is_plain_decimal(text)) return std::nullopt;
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value + 0.0;  // no negative zero
}

std::string plain_number(std::string_view text, bool integral) {
  const std::string tidy = tidied(text);
  if (!integral) return parse_decimal(tidy) ? tidy : "";
  if (const auto integer = parse_integer(tidy)) return integer->too_big ? "" : tidy;
  const auto value = parse_decimal(tidy);
  if (!value || std::abs(*value) > kExact || std::trunc(*value) != *value) return "";
  return std::to_string(static_cast<std::int64_t>(*value));
}

std::string to_text(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return {buffer, result.ptr};
}

}  // namespace lockstep
