#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/pages.h"
#include "common/partition.h"
#include "worker/state.h"

namespace lockstep {

// A rank's own bytes of a state, as the data of its shard lays them end to end, in blocks of
// kChecksumBlockBytes. A view of the trainer's memory, the host's or an accelerator's; const
// members are for several threads.
class ShardData {
 public:
  // For the training thread: waits until what is computed on an accelerator is there.
  ShardData(const StateView& state, Share rank);

  // Copies what the forward pass will change (StateSection::changes_in_forward), so that the rest
  // may be read while it runs. Cost: those bytes.
  void keep_what_forward_changes();

  std::uint64_t bytes() const { return bytes_; }
  std::size_t blocks() const;
  std::uint64_t begin_of(std::size_t block) const;  // in the data
  std::size_t bytes_of(std::size_t block) const;    // the last one is shorter

  struct Seen {
    std::uint64_t checksum = 0;  // of the block
    bool finite = true;          // neither NaN nor Inf in it
  };
  // Copies a block to `into`, of its bytes, and looks at each stretch while it is in the cache: one
  // pass over the state.
  Seen copy(std::size_t block, std::span<std::byte> into) const;

 private:
  struct Part {  // of a section
    Dtype dtype;
    std::span<const std::byte> bytes;
    std::uint64_t begin;  // in the data
    bool changes_in_forward;
    const Accelerator* accelerator;  // whose memory the bytes are; null: the host's
  };
  static bool copy_stretch(const Part& part, std::uint64_t from, std::uint64_t bytes,
                           std::byte* to);
  std::vector<Part> parts_;
  std::vector<Pages> kept_;
  std::uint64_t bytes_ = 0;
};

}  // namespace lockstep
