#pragma once

#include "coordinator/policy.h"

namespace lockstep {

// Pure: the rows of the table for a request that is applied now: fresh, latest, best, iteration,
// from, and no restore section at all.
void rule_request(Ruling& ruling, const StoreView& store, const LaunchFacts& launch,
                  const SourceView* source);

}  // namespace lockstep
