#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

// Text by the columns that it takes on a terminal. A byte that is not UTF-8 takes one. All: Pure.

// Wide characters of East Asia and most emoji take two columns, combining marks none.
std::size_t width_of(std::string_view text);

// As much as fits, with a mark at its end where something is missing.
std::string cut_to(std::string_view text, std::size_t columns, bool unicode);

// In lines, broken at blanks where that is possible; "" is one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns);

}  // namespace lockstep::cli
