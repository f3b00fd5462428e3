#pragma once

#include <cstdint>

namespace lockstep {

struct Range {
  std::int64_t first = 0;
  std::int64_t count = 0;

  std::int64_t end() const noexcept { return first + count; }
  friend bool operator==(const Range&, const Range&) = default;
};

struct Share {
  std::int64_t index = 0;
  std::int64_t count = 1;
};

// Pure: the contiguous part of n things that belongs to one of several: [n i / c, n (i + 1) / c).
// Parts differ by at most one, ascend with the index, and together are all n. Exact for any int64.
Range part_of(std::int64_t n, Share share);

// Pure: which of `count` parts holds thing `at` (0 <= at < n).
std::int64_t part_holding(std::int64_t n, std::int64_t count, std::int64_t at);

}  // namespace lockstep
