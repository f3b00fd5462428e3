#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace lockstep::cli {

// Small pictures of numbers, within one line. All: Pure.

// A bar that is full to `part` of 1: "[####------]", in Unicode blocks.
std::string bar(double part, std::size_t columns, bool unicode);

// How numbers went, the last ones at the right, each column the mean of as many: low to high are
// the least to the greatest of them. What is not finite is a gap.
std::string sparkline(std::span<const double> numbers, std::size_t columns, bool unicode);

}  // namespace lockstep::cli
