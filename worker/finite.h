#pragma once

#include <cstddef>
#include <span>

#include "common/safetensors.h"

namespace lockstep {

// Pure: whether none of the elements is NaN or Inf; always true for integers. `bytes` need not be
// aligned; what is left over behind the last whole element is not looked at.
bool all_finite(Dtype dtype, std::span<const std::byte> bytes);

// all_finite and stream_copy in one pass. `to` must be aligned to the elements.
bool stream_copy_finite(Dtype dtype, std::span<const std::byte> from, std::byte* to);

}  // namespace lockstep
