#pragma once

#include <cstdint>
#include <vector>

#include "common/partition.h"

namespace lockstep {

// The order in which samples are met: an endless sequence, epoch after epoch, each a permutation of
// the data set. A pure function of (seed, length, position): no memory, no communication, the same
// for any world size. A global batch is a stretch of it and may cross the border of epochs.

// Pure: the sample at `position` (>= 0) of the sequence. length >= 1.
struct DataOrder {
  std::uint64_t seed = 0;
  std::int64_t length = 1;

  std::int64_t sample_at(std::int64_t position) const;
};

// Pure: a rank's stretch of a global batch of `batch` samples; the first batch % count ranks take
// one more. Stretches ascend with the rank and together are the batch.
Range batch_slice(std::int64_t batch, Share rank);

// Pure: the samples of a rank's slice of the global batch that begins at `position`.
std::vector<std::int64_t> samples_of_slice(const DataOrder& order, std::int64_t position,
                                           Range slice);

// Pure: seed of all randomness that a rank uses in the iteration that makes `iteration`.
struct RngPlace {
  std::uint64_t seed = 0;
  std::int64_t iteration = 0;
  int rank = 0;
};
std::uint64_t rng_seed(const RngPlace& place);

// Pure: a 64-bit mix (splitmix64's finalizer): equal inputs give equal outputs on every machine.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

// Pure: one of the numbers 0, 2^-24, ..., 1 - 2^-24 from the upper bits of `x`.
constexpr float unit_float(std::uint64_t x) {
  return static_cast<float>(x >> 40U) * 0x1p-24F;
}

}  // namespace lockstep
