#include "coordinator/watchdog/slow_ranks.h"

#include <algorithm>

namespace lockstep {
namespace {

constexpr double kTimes = 2;
constexpr double kLeastSeconds = 0.005;
constexpr int kInARow = 3;

}  // namespace

SlowRanks::SlowRanks(std::size_t ranks) : seconds_(ranks), in_a_row_(ranks) {}

double SlowRanks::median() const {
  std::vector<double> known;
  std::copy_if(seconds_.begin(), seconds_.end(), std::back_inserter(known),
               [](double seconds) { return seconds > 0; });
  if (known.empty()) return 0;
  const auto middle = known.begin() + static_cast<std::ptrdiff_t>((known.size() - 1) / 2);
  std::nth_element(known.begin(), middle, known.end());
  return *middle;
}

std::vector<std::size_t> SlowRanks::find() {
  const double usual = median();
  std::vector<std::size_t> found;
  for (std::size_t rank = 0; rank < seconds_.size(); ++rank) {
    auto& times = in_a_row_[rank];
    if (times >= kInARow) continue;  // it was reported
    const double seconds = seconds_[rank];
    const bool slow = seconds > kTimes * usual && seconds - usual > kLeastSeconds;
    times = slow ? times + 1 : 0;
    if (times == kInARow) found.push_back(rank);
  }
  return found;
}

}  // namespace lockstep
