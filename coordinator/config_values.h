#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "coordinator/config_schema.h"
#include "coordinator/yaml_tree.h"

namespace lockstep {

// Pure: the value of a key, checked against what the key may hold: an integer, a number, a text, a
// list. Nothing is converted silently: quoted numbers, `010`, `0x10`, `1_000`, `.nan`, `yes` fail,
// Error(kInvalidConfig), with what to write instead.
nlohmann::json read_value(const KeySpec& key, const YamlNode& node);

// Pure: what a value that has none is told.
std::string no_value(const std::string& path);

// Pure: true where `text` looks as if a number was meant: it begins with a digit, or with a sign or
// a dot before one.
bool looks_numeric(const std::string& text);

}  // namespace lockstep
