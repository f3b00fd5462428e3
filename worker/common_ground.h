#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/names.h"
#include "worker/state.h"

namespace lockstep {

// Pure: a digest of the contents of each replicated tensor that is of integers, or compared, a line
// each. All others are equal by construction.
std::string compared_contents(const StateView& state);

// Pure: what all ranks must have alike when they save, a line each: the checkpoint's name, the
// data's position, the digest of the tensors' names and shapes, and the contents as
// compared_contents had them. Cost: O(tensors), nothing of their bytes.
std::string common_ground(const CheckpointId& checkpoint, std::int64_t position,
                          const StateView& state, const std::string& contents);

// Pure: Error that names the first thing in which this rank differs from rank 0: kMismatch for the
// data's position, which a loop of one's own counts, and the contents of a tensor; else kInternal.
void require_common_ground(std::string_view mine, std::string_view root);

}  // namespace lockstep
