#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace lockstep {

// Pure: JSON for other programs to read, which is UTF-8 always: bytes that are not, as names of
// files may hold them, become U+FFFD. `indent`: blanks of a level; -1: all on one line.
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace lockstep
