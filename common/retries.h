#pragma once

#include <utility>

#include "common/error.h"

namespace lockstep {

// Runs `read` again where it says kIo, three times in all: a file server that fails over answers
// EIO or ESTALE for a moment, and that must not look like damage. `read` begins at the look-up, for
// a stale handle stays stale.
template <typename Fn>
auto with_retries(Fn&& read) {
  constexpr int kTries = 3;
  for (int tries = 1;; ++tries) {
    try {
      return read();
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kIo || tries == kTries) throw;
    }
  }
}

}  // namespace lockstep
