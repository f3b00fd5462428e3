#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/requests.h"

namespace lockstep::cli {

// How a job stands that was asked to save or to stop, and what is said of that. All: Pure.

struct AskedJob {
  bool taken = false;  // the request
  std::int64_t iteration = 0;
  std::optional<std::int64_t> last_committed = {};
  std::int64_t being_saved = -1;  // the last iteration of which a save has begun and not ended
  bool ended = false;
};

// Whether a checkpoint has been committed that was begun after the request. `before`: as it stood
// when it was asked.
bool saved_since(const AskedJob& before, const AskedJob& now);

// What the job does at the moment, for who waits: "attempt 3 at iteration 239: saving iteration
// 240".
std::string wait_text(std::int64_t attempt, Asked asked, const AskedJob& before,
                      const AskedJob& now);

}  // namespace lockstep::cli
