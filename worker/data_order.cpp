#include "worker/data_order.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace lockstep {
namespace {

// A Feistel network over 2 * half_bits bits is a permutation of them whatever its round function
// is; walking along its cycles until a value falls below `length` makes one of [0, length). The
// network is less than four times as large as `length`, so the walk is short.
std::uint64_t permute(std::uint64_t index, std::uint64_t length, std::uint64_t key) {
  constexpr std::uint64_t kRounds = 6;
  const auto bits = static_cast<unsigned>(std::bit_width(length - 1));
  const unsigned half_bits = std::max(1U, (bits + 1) / 2);
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  do {
    std::uint64_t left = index >> half_bits;
    std::uint64_t right = index & mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t mixed = left ^ (mix64(key ^ mix64(right + (round << 56U))) & mask);
      left = right;
      right = mixed;
    }
    index = (left << half_bits) | right;
  } while (index >= length);
  return index;
}

}  // namespace

std::int64_t DataOrder::sample_at(std::int64_t position) const {
  if (length <= 1) return 0;
  const auto epoch = static_cast<std::uint64_t>(position / length);
  const auto index = static_cast<std::uint64_t>(position % length);
  return static_cast<std::int64_t>(
      permute(index, static_cast<std::uint64_t>(length), mix64(seed ^ mix64(epoch))));
}

Range batch_slice(std::int64_t batch, Share rank) {
  const std::int64_t base = batch / rank.count;
  const std::int64_t rest = batch % rank.count;
  return {.first = rank.index * base + std::min(rank.index, rest),
          .count = base + (rank.index < rest ? 1 : 0)};
}

std::vector<std::int64_t> samples_of_slice(const DataOrder& order, std::int64_t position,
                                           Range slice) {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(slice.count));
  std::int64_t at = position + slice.first;
  for (auto& sample : samples)
    sample = order.sample_at(at++);
  return samples;
}

std::uint64_t rng_seed(const RngPlace& place) {
  return mix64(mix64(mix64(place.seed) ^ static_cast<std::uint64_t>(place.iteration)) ^
               static_cast<std::uint64_t>(place.rank));
}

}  // namespace lockstep
