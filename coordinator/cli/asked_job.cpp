#include "coordinator/cli/asked_job.h"

namespace lockstep::cli {

namespace {

std::string phase_of(Asked asked, const AskedJob& before, const AskedJob& now) {
  if (!now.taken) return "the request waits for its next heartbeat";
  if (now.being_saved > before.being_saved)
    return "saving iteration " + std::to_string(now.being_saved);
  if (asked == Asked::kStop && saved_since(before, now))
    return std::to_string(*now.last_committed) + " is committed, it ends";
  return asked == Asked::kStop ? "it is about to save and end" : "it is about to save";
}

}  // namespace

bool saved_since(const AskedJob& before, const AskedJob& now) {
  return now.last_committed && now.last_committed != before.last_committed &&
         *now.last_committed >= before.iteration && *now.last_committed > before.being_saved;
}

std::string wait_text(std::int64_t attempt, Asked asked, const AskedJob& before,
                      const AskedJob& now) {
  return "attempt " + std::to_string(attempt) + " at iteration " + std::to_string(now.iteration) +
         ": " + phase_of(asked, before, now);
}

}  // namespace lockstep::cli
