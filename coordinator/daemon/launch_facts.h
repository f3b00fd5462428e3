#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/attempt_records.h"
#include "common/config.h"
#include "coordinator/config_loader.h"
#include "coordinator/policy.h"

namespace lockstep {

// Local: what a launch brings to the decision, and the claim that it will make, but for the store's
// id. `hosts`: the host of every rank, in rank order. Error(kInvalidConfig).
std::pair<LaunchFacts, Claim> describe_launch(const LoadedConfig& loaded,
                                              const std::vector<std::string>& hosts,
                                              const std::string& build,
                                              const Environment& environment);

}  // namespace lockstep
