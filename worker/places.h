#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/manifest.h"
#include "common/partition.h"
#include "common/selection.h"
#include "worker/state.h"

namespace lockstep {

// Where in memory the bytes of a load go, which a plan numbers as if they lay end to end. Const
// members are for several threads, each at bytes of its own.
class Places {
 public:
  struct Run {
    std::span<std::byte> memory;
    bool shared = false;  // all ranks need it: it is spread when it is read
  };
  explicit Places(std::vector<Run> runs);

  std::uint64_t bytes() const { return begins_.back(); }
  bool any_shared(std::uint64_t to, std::uint64_t bytes) const;  // of bytes from `to` on
  void put(std::uint64_t to, std::span<const std::byte> bytes) const;

 private:
  std::size_t run_at(std::uint64_t to) const;
  std::vector<Run> runs_;
  std::vector<std::uint64_t> begins_;  // of each run, and the end of the last
};

// This rank's own parts of a state, of the pieces that are selected; `own_pieces`: all of its.
Places places_of(const StateView& state, Share rank, std::span<const Piece> own_pieces,
                 const Selection& selection);

}  // namespace lockstep
