#pragma once

#include <optional>
#include <string>

#include "common/manifest.h"
#include "coordinator/policy.h"

namespace lockstep {

// Pure: why nothing is left to train from where a ruling starts, which names the limit that is
// reached; nullopt: something is left. `manifest`: of the chosen checkpoint, null for none.
std::optional<std::string> nothing_to_train(const LaunchFacts& launch, const Ruling& ruling,
                                            const Manifest* manifest);

}  // namespace lockstep
