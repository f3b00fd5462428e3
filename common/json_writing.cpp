#include "common/json_writing.h"

#include <algorithm>

#include <simdjson.h>

#include "common/error.h"

namespace lockstep {

using nlohmann::json;

json json_or_null(const std::optional<std::int64_t>& value) {
  return value ? json(*value) : json(nullptr);
}

json json_or_null(const std::optional<std::string>& value) {
  return value ? json(*value) : json(nullptr);
}

json object_of_text(std::string_view text, const char* key) {
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) {
    throw Error(ErrorCode::kInternal, std::string(key) + " is no JSON object");
  }
  return object;
}

std::string dump_json(const json& value) {
  try {
    return value.dump();
  } catch (const json::exception&) {
    throw Error(ErrorCode::kInternal, "a record holds text that is no UTF-8");
  }
}

void append_string(std::string& text, std::string_view value) {
  const auto is_escaped = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  };
  // nlohmann's serializer takes half a microsecond to come up, for each of 12,000 names.
  if (std::ranges::any_of(value, is_escaped) ||
      !simdjson::validate_utf8(value.data(), value.size())) {
    text += dump_json(value);
    return;
  }
  text += '"';
  text += value;
  text += '"';
}

void append_integers(std::string& text, std::span<const std::int64_t> integers) {
  text += '[';
  for (const auto integer : integers)
    text += (text.back() == '[' ? "" : ",") + std::to_string(integer);
  text += ']';
}

}  // namespace lockstep
