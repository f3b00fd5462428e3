#include "tests/model/random_bytes.h"

#include <cstddef>
#include <span>

#include <sys/random.h>
#include <sys/types.h>

#include "tests/support/random.h"

namespace {

lockstep::testing::Random& source() {
  static lockstep::testing::Random random(0);
  return random;
}

}  // namespace

// Takes the place of the C library's in this program.
extern "C" ssize_t getrandom(void* buffer, std::size_t bytes, unsigned int /*flags*/) {
  for (auto& byte : std::span(static_cast<unsigned char*>(buffer), bytes))
    byte = static_cast<unsigned char>(source().next());
  return static_cast<ssize_t>(bytes);
}

namespace lockstep::model {

void seed_random_bytes(std::uint64_t seed) {
  source() = testing::Random(seed);
}

}  // namespace lockstep::model
