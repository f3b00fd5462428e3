#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/comm.h"
#include "worker/collectives.h"

namespace lockstep {

// A reduce-scatter that is under way: own := the sum over ranks of their `all`, this rank's part of
// it (part_of, parts may be empty). Starts at construction and blocks nobody until wait().
//
// Up to kMostDirectRanks, and for as much as fits into memory besides, each sends each other one
// its part at once and adds what it gets in the order of ranks: equal bits on every machine, and no
// step waits for another one, so that all it needs of the training thread is a look now and then.
// MPI makes no progress by itself, and what its non-blocking reduce-scatter does in steps would lie
// still in between. What is more goes by that all the same: it would be too many messages, or too
// much memory.
class RegionSum final : public Collectives::Sum {
 public:
  static constexpr int kMostDirectRanks = 16;
  static constexpr std::int64_t kMostDirectElements = 1 << 24;
  // Elements of `scratch` that the sum of so many needs.
  static std::int64_t scratch_elements(std::int64_t all, int ranks);

  struct Memory {
    std::span<float> all;  // of equal length on all ranks; stays as it is
    std::span<float> own;
    std::span<float> scratch;
  };
  // Collective, in the same order on every rank, with a `tag` below 1024 that no other sum has
  // which is under way on `comm`. The memory must stay until it is there. All throw MpiError only.
  RegionSum(const Comm& comm, const Memory& memory, int tag);

  bool there() override;
  void wait() override;

 private:
  void start_direct();
  void start_collective();
  void add_up();
  std::span<float> received(int rank) const;

  const Comm* comm_;
  Memory memory_;
  int tag_;
  std::vector<MPI_Request> requests_;
  std::vector<int> counts_;  // of the collective
};

}  // namespace lockstep
