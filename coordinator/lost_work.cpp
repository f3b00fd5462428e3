#include "coordinator/lost_work.h"

#include <algorithm>

#include "coordinator/lineage.h"

namespace lockstep {

const AttemptView* attempt_before(const StoreView& store, std::int64_t number) {
  const AttemptView* earlier = nullptr;
  for (const auto& attempt : store.attempts)
    if (attempt.number < number && !is_refused(attempt)) earlier = &attempt;
  return earlier;
}

std::optional<std::int64_t> lost_iterations(const AttemptView& earlier, const Heartbeat& beat,
                                            const CheckpointId& parent, bool passed_over) {
  const auto kept = beat.last_committed
                        ? std::optional(CheckpointId{earlier.number, *beat.last_committed})
                        : parent_of(earlier);
  if (parent != kept && !passed_over) return std::nullopt;
  return std::max<std::int64_t>(0, beat.iteration - parent.iteration);
}

}  // namespace lockstep
