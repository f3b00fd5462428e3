#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/store_view.h"

namespace lockstep {

// Lineage, DESIGN's word: an attempt, its parent's attempt up to the parent's iteration, and so on
// back. All: Pure.

// Whether an attempt counts for anything but its number: one with outcome `refused` does not.
bool is_refused(const AttemptView& attempt);

// The checkpoint of this store from which an attempt started: by decision.json, where that is
// damaged by the attempt's own manifests. nullopt: none, or not known.
std::optional<CheckpointId> parent_of(const AttemptView& attempt);

// Whether it can't be said where an attempt started: its decision is damaged or absent and no
// manifest of it tells. Such an attempt is passed over, and named.
bool parent_unknown(const AttemptView& attempt);

// The checkpoints of an attempt's lineage, newest first: its own in falling order, then those of
// its parent's attempt up to the parent, and so on.
std::vector<CheckpointId> lineage(const StoreView& store, std::int64_t attempt);

// The checkpoint before this one in its lineage, as far as the store still holds it.
std::optional<CheckpointId> previous_of(const StoreView& store, const CheckpointId& checkpoint);

// The last iteration that the lineage of what carries on from `parent` shares with that of an
// attempt, checkpoint or not. 0: none.
std::int64_t shared_iteration(const StoreView& store, const CheckpointId& parent,
                              std::int64_t attempt);

// The newest attempt that was not refused. nullopt: there is none.
std::optional<std::int64_t> newest_attempt(const StoreView& store);

// The newest attempt whose lineage holds any checkpoint, and those above it that were passed over.
struct NewestLineage {
  std::optional<std::int64_t> attempt;
  std::vector<std::int64_t> passed_over;  // falling; refused ones are not named
  std::vector<CheckpointId> checkpoints;  // newest first
};
NewestLineage newest_lineage(const StoreView& store);

// Whatever the newest lineage does not hold, newest first.
std::vector<CheckpointId> abandoned(const StoreView& store);

}  // namespace lockstep
