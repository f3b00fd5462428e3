#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "common/config.h"

namespace lockstep {

// Pure: a configuration as JSON, every key present and sorted; what canonical_json prints.
nlohmann::json to_json(const Config& config);
nlohmann::json to_json(const Request& request);  // null where the section is absent
nlohmann::json to_json(const KeepBest& keep_best);

// Pure: where a key stands in that JSON: "run.seed" -> /run/seed.
nlohmann::json::json_pointer key_pointer(std::string_view path);

// Pure: the inverse. The object holds every key, with values that were checked before; anything
// else is Error(kInternal).
Config config_from_json(const nlohmann::json& object);

}  // namespace lockstep
