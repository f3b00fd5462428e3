#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

// Pure: plain decimals only. nullopt for everything else; `too_big` is set where the text is one
// but does not fit.
struct Integer {
  std::int64_t value = 0;
  bool too_big = false;
};
std::optional<Integer> parse_integer(std::string_view text);  // 0, 42, -7
std::optional<double> parse_decimal(std::string_view text);   // also 0.5, 1e-3, 1.0E+3; finite

// Pure: the plain form of a number that is written in another way, or "": "010" -> "10", "1_000" ->
// "1000", "1e3" -> "1000" where `integral`, ".5" -> "0.5".
std::string plain_number(std::string_view text, bool integral);

// Pure: the shortest text that gives the same number: "0.001".
std::string to_text(double value);

}  // namespace lockstep
