#include "coordinator/cli/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace lockstep::cli {

namespace {

constexpr std::array<const char*, 8> kUnicode = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<const char*, 8> kAscii = {"_", ".", "-", "~", "=", "+", "*", "#"};

double mean_of(std::span<const double> numbers) {
  double sum = 0;
  std::size_t count = 0;
  for (const double number : numbers) {
    if (!std::isfinite(number)) continue;
    sum += number;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
}

// As many means as there are columns, or all the numbers where they are fewer.
std::vector<double> condensed(std::span<const double> numbers, std::size_t columns) {
  const auto count = std::min(numbers.size(), columns);
  std::vector<double> means;
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = i * numbers.size() / count;
    const auto end = (i + 1) * numbers.size() / count;
    means.push_back(mean_of(numbers.subspan(begin, end - begin)));
  }
  return means;
}

}  // namespace

std::string bar(double part, std::size_t columns, bool unicode) {
  constexpr std::size_t kBrackets = 2;
  if (!unicode && columns < kBrackets) return "";
  const auto width = unicode ? columns : columns - kBrackets;
  const double clamped = std::isfinite(part) ? std::clamp(part, 0.0, 1.0) : 0;
  const auto filled = static_cast<std::size_t>(clamped * static_cast<double>(width));
  std::string text;
  for (std::size_t i = 0; i < width; ++i)
    text += i < filled ? (unicode ? "█" : "#") : (unicode ? "░" : "-");
  return unicode ? text : "[" + text + "]";
}

std::string sparkline(std::span<const double> numbers, std::size_t columns, bool unicode) {
  const auto& levels = unicode ? kUnicode : kAscii;
  const auto means = condensed(numbers, columns);
  double least = std::numeric_limits<double>::infinity();
  double greatest = -least;
  for (const double mean : means) {
    if (!std::isfinite(mean)) continue;
    least = std::min(least, mean);
    greatest = std::max(greatest, mean);
  }
  const double range = greatest - least;  // not finite where numbers are huge: then all are low
  std::string text;
  for (const double mean : means) {
    const double height =
        std::isfinite(mean) && range > 0 && std::isfinite(range) ? (mean - least) / range : 0;
    const auto level = std::lround(height * static_cast<double>(levels.size() - 1));
    text += std::isfinite(mean) ? levels[static_cast<std::size_t>(level)] : " ";
  }
  return text;
}

}  // namespace lockstep::cli
