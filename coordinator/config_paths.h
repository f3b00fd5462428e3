#pragma once

#include <string>

#include "coordinator/config_loader.h"
#include "coordinator/config_text.h"

namespace lockstep {

// The absolute path that `written` means: ${NAME} and a leading ~/ expanded, relative to the folder
// of `config_file`. Any other '$' or '~', an unset or empty variable: Error(kInvalidConfig).
// key: for messages.
std::string resolve_path(const std::string& key, const std::string& written, const Place& place,
                         const std::string& config_file, const Environment& environment);

}  // namespace lockstep
