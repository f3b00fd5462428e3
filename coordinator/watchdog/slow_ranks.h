#pragma once

#include <cstddef>
#include <vector>

namespace lockstep {

// Ranks whose own work in an iteration takes much longer than the others': all wait for them. They
// are reported, not ended: a slow rank does its work. Pure.
class SlowRanks {
 public:
  explicit SlowRanks(std::size_t ranks);

  // The median work of late iterations; 0: not known.
  void hear(std::size_t rank, double seconds) { seconds_[rank] = seconds; }

  // To be called each heartbeat: ranks that have now been slow three times in a row, by more than
  // twice the median and not by milliseconds. Each rank once.
  std::vector<std::size_t> find();
  // Of all ranks that are known, the lower one of an even number: one of two can be slow.
  double median() const;
  double seconds(std::size_t rank) const { return seconds_[rank]; }

 private:
  std::vector<double> seconds_;
  std::vector<int> in_a_row_;
};

}  // namespace lockstep
