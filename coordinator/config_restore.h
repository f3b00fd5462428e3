#pragma once

#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "coordinator/yaml_tree.h"

namespace lockstep {

// The keys that a user gave, checked one by one: "restore.iteration" -> 1200 and where it stands.
struct GivenValue {  // NOLINT(bugprone-exception-escape): the JSON library's move is not noexcept
  nlohmann::json value;
  Place place;
};
using GivenValues = std::map<std::string, GivenValue>;

// Pure: the `restore` section with its short form written out: `auto` -> {mode: latest, if_missing:
// fresh}, `3@1200` -> {attempt: 3, iteration: 1200}. A mapping stays as it is; anything else is
// Error(kInvalidConfig).
YamlNode long_restore(YamlNode restore);

// Pure: takes out of the section what contradicts the key of it that --set has just set.
void drop_contradictions(YamlNode& restore, const std::string& key);

// Pure: Error(kInvalidConfig) where keys of the section contradict each other; else fills in the
// `mode` that `iteration`, `attempt` or `from` imply. `section`: where the section stands.
void complete_restore(GivenValues& given, const Place& section);

}  // namespace lockstep
