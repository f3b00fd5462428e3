#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/comm.h"
#include "worker/collectives.h"

namespace lockstep {

// What is made of MPI's collectives here, for the host's memory.
//
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

// Those of the host's memory; `sums` as CollectivesNeed has them. Memory: kSumsAtOnce times what
// RegionSum::scratch_elements() says of the largest.
std::unique_ptr<Collectives> make_mpi_collectives(const Comm& comm,
                                                  std::span<const std::int64_t> sums);
// The same for an accelerator's memory, through the host's, whether or not MPI could read it where
// it is: each byte is copied out and in.
std::unique_ptr<Collectives> make_staged_collectives(const Comm& comm,
                                                     const Accelerator& accelerator,
                                                     std::span<const std::int64_t> sums);

}  // namespace lockstep
