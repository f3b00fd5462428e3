#include "coordinator/lost_work.h"

#include <algorithm>

#include "coordinator/amounts.h"
#include "coordinator/lineage.h"
#include "coordinator/run_identity.h"

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

std::string lost_text(const DecisionRecord& record, const StoreView& store, const std::string& run,
                      std::int64_t attempt) {
  const auto* earlier = attempt_before(store, attempt);
  const bool within = record.parent && !record.parent->store;
  if (!within || earlier == nullptr || !earlier->heartbeat || run_of(*earlier) != run) return "";
  const auto& parent = record.parent->checkpoint;
  const auto& beat = *earlier->heartbeat;
  const auto lost = lost_iterations(*earlier, beat, parent, !record.rejected.empty());
  if (lost.value_or(0) == 0) return "";
  return "attempt " + std::to_string(earlier->number) + " had come to iteration " +
         std::to_string(beat.iteration) + ": what it trained after " + to_text(parent) +
         " is trained again, " + count_text(static_cast<std::size_t>(*lost), "iteration");
}

}  // namespace lockstep
