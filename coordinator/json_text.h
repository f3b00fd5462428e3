#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace lockstep {

// Pure: JSON for other programs to read, which is UTF-8 always: bytes that are not, as names of
// files may hold them, become U+FFFD. `indent`: blanks of a level; -1: all on one line.
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

template <typename Value>
nlohmann::ordered_json or_null(const std::optional<Value>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

}  // namespace lockstep
