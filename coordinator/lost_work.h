#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/attempt_records.h"
#include "common/decision.h"
#include "common/names.h"
#include "coordinator/store_view.h"

namespace lockstep {

// The newest attempt before attempt `number` that did not end as refused; nullptr: none. Pure.
const AttemptView* attempt_before(const StoreView& store, std::int64_t number);

// What an end without a save cost: how many iterations `earlier` had made, by its last heartbeat,
// beyond `parent`, which the attempt after it restores. nullopt where somebody went back on
// purpose: `parent` is not what `earlier` had last, and nothing damaged was passed over. Pure.
std::optional<std::int64_t> lost_iterations(const AttemptView& earlier, const Heartbeat& beat,
                                            const CheckpointId& parent, bool passed_over);

// That of the attempt before `attempt`, which `record` decides for: a line for people, where it was
// of the same run; "" where nothing is lost, or it is not known. Pure.
std::string lost_text(const DecisionRecord& record, const StoreView& store, const std::string& run,
                      std::int64_t attempt);

}  // namespace lockstep
