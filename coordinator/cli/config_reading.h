#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config.h"

namespace lockstep::cli {

// The configuration, as the job reads it. A mistake in it is printed as the job does, one line,
// "train.yaml:5:3: ...", so that editors find the place, and of the file itself with a line of
// advice: then nullopt, and `code` to end with.
std::optional<LoadedConfig> load_or_complain(const std::string& path,
                                             const std::vector<std::string>& overrides, int& code);

}  // namespace lockstep::cli
