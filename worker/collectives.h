#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/comm.h"
#include "worker/accelerator.h"

namespace lockstep {

// How the ranks exchange what training computes: gradients, parameters, buffers; by MPI or by NCCL.
// Spans are of the memory that the state is in, of equal length on all ranks; a rank's part is
// part_of(length, {rank, size}) and may be empty. Results are equal bit by bit on every rank, and
// for every call on the same world with the same libraries and machines.
//
// Collective, all but Sum::there() and sums_in_any_thread(): each rank makes the same calls in the
// same order. Throw MpiError only: what connects the ranks can't be relied on any more.
class Collectives {
 public:
  Collectives() = default;
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;
  virtual ~Collectives() = default;

  // A reduce-scatter that is under way. Where one is, the Collectives can't go: wait first.
  class Sum {
   public:
    Sum() = default;
    Sum(const Sum&) = delete;
    Sum& operator=(const Sum&) = delete;
    virtual ~Sum() = default;
    virtual bool there() = 0;  // local; false: not yet. Once it is true `own` holds the sum
    virtual void wait() = 0;   // until it is
  };
  // own := the sum over ranks of their `all`, this rank's part of it. Blocks nobody until wait().
  // The memory must stay until it is there, and `all` as it is. At most kSumsAtOnce are under way,
  // and they are waited for in the order of their start.
  static constexpr std::size_t kSumsAtOnce = 4;
  virtual std::unique_ptr<Sum> start_sum(std::span<float> all, std::span<float> own) = 0;
  // Whether start_sum and Sum::there may be called by another thread than the one that makes all
  // other collectives, while that one makes none.
  virtual bool sums_in_any_thread() const = 0;

  // all := every rank's part; the own part is at its place in `all`. On an accelerator what is
  // computed afterwards sees the result; it may not be there yet on return.
  virtual void all_gather(std::span<float> all) = 0;
  // values := their mean over the ranks; likewise.
  virtual void average(std::span<float> values) = 0;
};

struct NcclModule;

struct CollectivesNeed {
  const Accelerator* accelerator = nullptr;  // that the state is on; null: the host's memory
  const NcclModule* nccl = nullptr;          // null: MPI, through the host's memory
  std::vector<std::int64_t> sums = {};       // lengths that start_sum gets; at least one
};
// Collective; `comm` and the accelerator must outlive it. NCCL's communicator takes seconds to make
// in large worlds: after the decision. AgreedError(kInvalidConfig) where it can't be made.
std::unique_ptr<Collectives> make_collectives(const Comm& comm, const CollectivesNeed& need);

}  // namespace lockstep
