#pragma once

#include <string>

#include "coordinator/status/facts.h"

namespace lockstep {

// Pure: what /status answers (deploy/STATUS.md), a JSON text.
std::string status_json(const StatusPicture& picture);

// Pure: how a shell reads it as one word.
std::string shell_word(const std::string& text);

}  // namespace lockstep
