#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/manifest.h"
#include "common/partition.h"

namespace lockstep {

class Accelerator;

// Tensors of one dtype, laid end to end in one flat buffer, as a checkpoint sees them. Rank r of W
// owns part_of(elements, {r, W}): it alone writes these elements.
struct StateSection {
  std::vector<TensorInfo> tensors;  // in flat order
  Dtype dtype = Dtype::kF32;
  std::int64_t elements = 0;
  bool replicated =
      false;  // every rank holds all elements (parameters, buffers); else only its part
  std::byte* data = nullptr;  // elements, or the own part's, in flat order; owned by the trainer
  bool changes_in_forward = false;  // as BatchNorm's statistics: not to be copied beside it
  bool compared = false;  // replicated by others' code: a save compares the ranks' values, as it
                          // does of integers, which nobody averages
};

// What a checkpoint holds. A view: the trainer owns the memory and keeps it in place. Sections with
// wider elements come first, so that each tensor is aligned in the shard.
struct StateView {
  std::vector<StateSection> sections;
  const Accelerator* accelerator = nullptr;  // whose memory the sections' data is; null: the host's
};

// Pure: all tensors, section by section.
std::vector<TensorInfo> tensors_of(const StateView& state);

// Pure: of all tensors, in all ranks together. Cost: O(sections).
std::uint64_t data_bytes(const StateView& state);

// Pure: this rank's own bytes of a section.
std::span<std::byte> own_bytes(const StateSection& section, Share rank);

// Pure: fills in world_size, tensors and partition as this state, saved by that many ranks, has
// them. Error(kInternal) on a section that contradicts its tensors: it would make a checkpoint that
// nobody can load.
void describe_state(const StateView& state, std::int64_t world_size, Manifest& manifest);

// Pure: digest128 over name, dtype and shape of every tensor in order of name: equal digests mean
// that two models can exchange checkpoints.
std::string tensors_digest(const StateView& state);

}  // namespace lockstep
