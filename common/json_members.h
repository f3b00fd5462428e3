#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace lockstep {

// Checked access for objects that came from parse_strict_json: Error(kDamaged) "WHAT: KEY is ..."
// where the key is absent or of another type. Integers: no fraction, 0 to 2^63 - 1.
const nlohmann::json& member(const nlohmann::json& object, const char* key, std::string_view what);
const nlohmann::json& object_member(const nlohmann::json& object, const char* key,
                                    std::string_view what);
const nlohmann::json& array_member(const nlohmann::json& object, const char* key,
                                   std::string_view what);
std::int64_t integer_member(const nlohmann::json& object, const char* key, std::string_view what);
double number_member(const nlohmann::json& object, const char* key, std::string_view what);
std::string text_member(const nlohmann::json& object, const char* key, std::string_view what);
bool bool_member(const nlohmann::json& object, const char* key, std::string_view what);
// The same where null stands for "none"; an absent key is still an error.
std::optional<std::int64_t> optional_integer_member(const nlohmann::json& object, const char* key,
                                                    std::string_view what);
std::optional<std::string> optional_text_member(const nlohmann::json& object, const char* key,
                                                std::string_view what);
std::vector<std::int64_t> integers_member(const nlohmann::json& object, const char* key,
                                          std::string_view what);
std::vector<std::string> texts_member(const nlohmann::json& object, const char* key,
                                      std::string_view what);

}  // namespace lockstep
