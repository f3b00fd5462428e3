#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/decision.h"
#include "coordinator/policy.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Pure: what a job says of its decision, a line each: what it is, its reasons, and where the run's
// attempt before ended without a save, what is trained again. `store`: without `attempt`, the own
// one; nullopt: none is claimed.
std::vector<std::string> decision_lines(const DecisionRecord& record, const StoreView& store,
                                        const LaunchFacts& launch,
                                        std::optional<std::int64_t> attempt);

}  // namespace lockstep
