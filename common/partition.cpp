#include "common/partition.h"

#include "common/error.h"

namespace lockstep {
namespace {

__extension__ using Wide = __int128;  // n * c of two int64

std::int64_t border(std::int64_t n, std::int64_t index, std::int64_t count) {
  return static_cast<std::int64_t>(static_cast<Wide>(n) * index / count);
}

}  // namespace

Range part_of(std::int64_t n, Share share) {
  if (n < 0 || share.index < 0 || share.index >= share.count) {
    throw Error(ErrorCode::kInternal, "part_of: no such part");
  }
  const std::int64_t first = border(n, share.index, share.count);
  return {.first = first, .count = border(n, share.index + 1, share.count) - first};
}

// The largest i whose part begins at or before `at`: n i / c < at + 1.
std::int64_t part_holding(std::int64_t n, std::int64_t count, std::int64_t at) {
  if (count < 1 || at < 0 || at >= n)
    throw Error(ErrorCode::kInternal, "part_holding: no such thing");
  return static_cast<std::int64_t>(((static_cast<Wide>(at) + 1) * count - 1) / n);
}

}  // namespace lockstep
