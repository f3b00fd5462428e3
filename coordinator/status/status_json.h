#pragma once

#include <string>

#include "coordinator/status/facts.h"

namespace lockstep {

// What the paths of the status server answer (deploy/CLI.md), each one JSON text. All: Pure.
std::string status_json(const StatusPicture& picture);
std::string lineage_json(const StorePicture& picture);
std::string curves_json(const StorePicture& picture);
std::string decision_json(const StorePicture& picture);  // "null" where there is none

// Pure: how a shell reads it as one word.
std::string shell_word(const std::string& text);

}  // namespace lockstep
