#include "common/json_members.h"

#include <utility>

#include "common/strict_json.h"

namespace lockstep {
namespace {

using nlohmann::json;

[[noreturn]] void throw_member(std::string_view what, const char* key, const char* problem) {
  throw_damaged(what, std::string(key) + " is " + problem);
}

std::optional<std::int64_t> as_integer(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (!std::in_range<std::int64_t>(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

}  // namespace

const json& member(const json& object, const char* key, std::string_view what) {
  if (!object.is_object()) throw_damaged(what, "is no JSON object");
  const auto place = object.find(key);
  if (place == object.end()) throw_member(what, key, "missing");
  return *place;
}

const json& object_member(const json& object, const char* key, std::string_view what) {
  const json& value = member(object, key, what);
  if (!value.is_object()) throw_member(what, key, "no object");
  return value;
}

const json& array_member(const json& object, const char* key, std::string_view what) {
  const json& value = member(object, key, what);
  if (!value.is_array()) throw_member(what, key, "no list");
  return value;
}

std::int64_t integer_member(const json& object, const char* key, std::string_view what) {
  const auto number = as_integer(member(object, key, what));
  if (!number) throw_member(what, key, "no integer from 0 to 2^63 - 1");
  return *number;
}

double number_member(const json& object, const char* key, std::string_view what) {
  const json& value = member(object, key, what);
  if (!value.is_number()) throw_member(what, key, "no number");
  return value.get<double>();
}

std::string text_member(const json& object, const char* key, std::string_view what) {
  const json& value = member(object, key, what);
  if (!value.is_string()) throw_member(what, key, "no text");
  return value.get<std::string>();
}

bool bool_member(const json& object, const char* key, std::string_view what) {
  const json& value = member(object, key, what);
  if (!value.is_boolean()) throw_member(what, key, "neither true nor false");
  return value.get<bool>();
}

std::optional<std::int64_t> optional_integer_member(const json& object, const char* key,
                                                    std::string_view what) {
  if (member(object, key, what).is_null()) return std::nullopt;
  return integer_member(object, key, what);
}

std::optional<std::string> optional_text_member(const json& object, const char* key,
                                                std::string_view what) {
  if (member(object, key, what).is_null()) return std::nullopt;
  return text_member(object, key, what);
}

std::vector<std::int64_t> integers_member(const json& object, const char* key,
                                          std::string_view what) {
  const json& array = array_member(object, key, what);
  std::vector<std::int64_t> numbers;
  numbers.reserve(array.size());
  for (const json& element : array) {
    const auto number = as_integer(element);
    if (!number) throw_member(what, key, "no list of integers from 0 to 2^63 - 1");
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<std::string> texts_member(const json& object, const char* key, std::string_view what) {
  const json& array = array_member(object, key, what);
  std::vector<std::string> texts;
  texts.reserve(array.size());
  for (const json& element : array) {
    if (!element.is_string()) throw_member(what, key, "no list of texts");
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

}  // namespace lockstep
