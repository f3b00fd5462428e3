#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/comm.h"

namespace lockstep {

// Collective, all of them: every rank of `comm` calls with spans of the same length. A rank's part
// is part_of(all.size(), {rank, size}); parts may be empty. Results are equal bit by bit on every
// rank and for every call on the same world. Throw MpiError only. Pieces above `limit` elements
// travel in several messages: MPI counts are ints.
constexpr std::int64_t kMessageLimit = std::int64_t{1} << 28;

// The sizes of the ranks' parts of `elements`, as MPI takes them.
std::vector<int> part_counts(std::int64_t elements, int ranks);

// own := the sum over ranks of their `all`, this rank's part of it.
void reduce_scatter(const Comm& comm, std::span<const float> all, std::span<float> own,
                    std::int64_t limit = kMessageLimit);

// all := every rank's part; the own part is at its place in `all`.
void all_gather(const Comm& comm, std::span<float> all, std::int64_t limit = kMessageLimit);

void sum_over_ranks(const Comm& comm, std::span<double> values);
void average_over_ranks(const Comm& comm, std::span<float> values);

// The computer that this rank runs on.
struct HostShare {
  int ranks = 1;      // of `comm`, on this host
  bool first = true;  // this is the lowest of them
  int threads =
      1;  // OMP_NUM_THREADS where set, else the cores that these ranks may use, shared out
};
HostShare host_share(const Comm& comm);

}  // namespace lockstep
