#pragma once

#include <optional>
#include <string_view>

#include "common/json_members.h"
#include "common/manifest.h"

namespace lockstep {

// What several records say in the same way. Pure.

// {"attempt", "iteration"}, and "store" where it lies in another store (null: a loose folder).
nlohmann::json parent_json(const std::optional<Parent>& parent);
// Error(kDamaged).
std::optional<Parent> parent_member(const nlohmann::json& object, const char* key,
                                    std::string_view what);

// {"attempt", "iteration"} of an object. Error(kDamaged).
CheckpointId checkpoint_members(const nlohmann::json& object, std::string_view what);

// 0 to 255. Error(kDamaged).
int exit_code_member(const nlohmann::json& object, const char* key, std::string_view what);

}  // namespace lockstep
