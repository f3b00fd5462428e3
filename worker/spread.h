#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/comm.h"

namespace lockstep {

// Elements laid end to end, each of `width` bytes.
struct Elements {
  std::byte* data = nullptr;
  std::int64_t count = 0;
  std::size_t width = 1;
};

// Gives every rank all elements, where rank r had only part_of(count, {r, W}) of them, in place.
//
// Collective over `comm`, with the same count and width. Any count: what does not fit into one call
// goes in chunks of at most `chunk` elements, a rank after the other.
void spread_parts(const Comm& comm, const Elements& elements, std::int64_t chunk = INT_MAX);

// Returns every rank's record, one after the other in the order of ranks, on rank 0; nothing on
// others.
//
// Collective over `comm`, with records of one size.
std::vector<std::byte> gather_records(const Comm& comm, std::span<const std::byte> mine);

}  // namespace lockstep
