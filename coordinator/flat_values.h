#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace lockstep {

// Values of a canonical configuration, by key (flat_config). Pure; nullopt: null, absent, or no
// such number.
using FlatConfig = std::map<std::string, std::string>;
std::optional<std::int64_t> flat_integer(const FlatConfig& flat, const std::string& key);
std::optional<double> flat_number(const FlatConfig& flat, const std::string& key);

}  // namespace lockstep
