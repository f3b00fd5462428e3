#pragma once

#include <string>

#include "coordinator/status/store_picture.h"

namespace lockstep {

// What the status server answers of a store's files (deploy/STATUS.md), each one JSON text. All:
// Pure.
std::string lineage_json(const StorePicture& picture);
std::string curves_json(const StorePicture& picture);
std::string decision_json(const StorePicture& picture);  // "null" where there is none

}  // namespace lockstep
