#pragma once

#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "coordinator/status/store_picture.h"

namespace lockstep {

// What the answers of the status server are made of. All: Pure.

using Json = nlohmann::ordered_json;

template <typename Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

// What is not finite is null: JSON has no word for it.
Json number(double value);
Json metrics_json(const std::map<std::string, double>& metrics);
Json row_json(const CheckpointRow& row);

}  // namespace lockstep
