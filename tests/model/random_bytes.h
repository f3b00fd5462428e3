#pragma once

#include <cstdint>

namespace lockstep::model {

// What lockstep takes from the kernel's random numbers (names of trash and temporary files) comes
// from this seed in this program, so that a history can be replayed to the byte.
void seed_random_bytes(std::uint64_t seed);

}  // namespace lockstep::model
