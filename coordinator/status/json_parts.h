#pragma once

#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "coordinator/json_text.h"
#include "coordinator/status/store_picture.h"

namespace lockstep {

// What the answers of the status server are made of. All: Pure.

using Json = nlohmann::ordered_json;

// What is not finite is null: JSON has no word for it.
Json number(double value);
Json metrics_json(const std::map<std::string, double>& metrics);
Json row_json(const CheckpointRow& row);

}  // namespace lockstep
