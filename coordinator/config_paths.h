#pragma once

#include <string>

#include "coordinator/config_loader.h"
#include "coordinator/config_text.h"

namespace lockstep {

// The absolute path that `written` means: ${NAME} and a leading ~/ expanded, relative to the folder
// of `config_file`. Any other '$' or '~', an unset or empty variable, bytes that are not UTF-8:
// Error(kInvalidConfig). key: for messages.
std::string resolve_path(const std::string& key, const std::string& written, const Place& place,
                         const std::string& config_file, const Environment& environment);

// Pure: Error(kInvalidConfig) where a path is not UTF-8: no record could name it.
void require_utf8(const std::string& key, const std::string& path, const Place& place);

}  // namespace lockstep
