#pragma once

#include <string>
#include <string_view>

#include "common/names.h"
#include "worker/state.h"

namespace lockstep {

// Pure: what all ranks must have alike when they save, a line each: the checkpoint's name, the
// digest of the tensors' names and shapes, and a digest of each replicated integer tensor's
// contents. Floating ones are equal by construction.
std::string common_ground(const CheckpointId& checkpoint, const StateView& state);

// Pure: Error(kInternal) that names the first thing in which this rank differs from rank 0.
void require_common_ground(std::string_view mine, std::string_view root);

}  // namespace lockstep
