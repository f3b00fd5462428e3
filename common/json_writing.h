#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace lockstep {

// For those who write. Null where there is none; an object from its JSON text (Error(kInternal)
// where it is none).
nlohmann::json json_or_null(const std::optional<std::int64_t>& value);
nlohmann::json json_or_null(const std::optional<std::string>& value);
nlohmann::json object_of_text(std::string_view text, const char* key);

// One line of JSON, keys sorted; doubles come back exactly. Error(kInternal) on text that is no
// UTF-8.
std::string dump_json(const nlohmann::json& value);

// "value" or [1,2,3] behind `text`, as dump_json writes it.
void append_string(std::string& text, std::string_view value);
void append_integers(std::string& text, std::span<const std::int64_t> integers);

}  // namespace lockstep
