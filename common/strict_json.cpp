#include "common/strict_json.h"

#include <cmath>
#include <limits>
#include <utility>

#include "common/digest.h"
#include "common/error.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr const char* kDigestKey = "digest";

// Builds the tree as nlohmann's own builder does, but stops at a repeated key and at a depth.
class TreeBuilder : public nlohmann::json_sax<json> {
 public:
  explicit TreeBuilder(int max_depth) : max_depth_(max_depth) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return std::isfinite(value) ? add(value) : fail("holds a number that is not finite");
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return fail("holds binary data"); }

  bool start_object(std::size_t /*elements*/) override { return open(json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*elements*/) override { return open(json::array()); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    auto& object = open_.back()->get_ref<json::object_t&>();
    const auto [place, is_new] = object.try_emplace(std::move(name));
    if (!is_new) return fail("holds a key twice");
    slot_ = &place->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return fail("is no valid JSON at byte " + std::to_string(position));
  }

  json take() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

 private:
  json* put(json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      auto& array = open_.back()->get_ref<json::array_t&>();
      return &array.emplace_back(std::move(value));
    }
    *slot_ = std::move(value);
    return slot_;
  }

  bool add(json&& value) {
    put(std::move(value));
    return true;
  }

  // The places stay where they are: an array grows only while its last element is closed.
  bool open(json&& value) {
    if (std::cmp_greater_equal(open_.size(), max_depth_)) return fail("is nested too deep");
    open_.push_back(put(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }

  int max_depth_;
  json root_;
  std::vector<json*> open_;
  json* slot_ = nullptr;  // the value of the key read last
  std::string problem_;
};

[[noreturn]] void throw_member(std::string_view what, const char* key, const char* problem) {
  throw_damaged(what, std::string(key) + " is " + problem);
}

std::optional<std::int64_t> as_integer(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (!std::in_range<std::int64_t>(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

// What dump_json gives without the digest, from the sealed text itself: only what stands before it
// in the order of the keys is dumped again, since records are many and their lists long.
std::string without_digest(std::string_view text, const json& object) {
  const auto& members = object.get_ref<const json::object_t&>();
  const auto place = members.find(kDigestKey);
  const std::string before = dump_json(json::object_t(members.begin(), place));
  const std::size_t member = dump_json(kDigestKey).size() + 1 + dump_json(place->second).size();
  // One comma goes with it: that before it, or where it is the first that behind it.
  const std::size_t comma = members.size() > 1 ? 1 : 0;
  std::string rest(text.substr(0, text.size() - 1));
  rest.erase(before.size() - 1, member + comma);  // `before` ends in a bracket of its own
  return rest;
}

std::string seal_in_place(json& object) {
  object.erase(kDigestKey);
  object[kDigestKey] = digest128(dump_json(object));
  return dump_json(object) + "\n";
}

}  // namespace

void throw_damaged(std::string_view what, std::string_view problem) {
  throw Error(ErrorCode::kDamaged, std::string(what) + ": " + std::string(problem));
}

json parse_strict_json(std::string_view text, std::string_view what, int max_depth) {
  // nlohmann skips a byte order mark, and takes a NUL for the end of the text.
  if (text.starts_with("\xEF\xBB\xBF")) throw_damaged(what, "begins with a byte order mark");
  if (text.find('\0') != std::string_view::npos) throw_damaged(what, "holds a NUL");
  TreeBuilder builder(max_depth);
  if (!json::sax_parse(text.begin(), text.end(), &builder)) throw_damaged(what, builder.problem());
  return builder.take();
}

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

std::string seal(json object) {
  return seal_in_place(object);
}

json unseal(std::string_view text, std::string_view what) {
  json object = parse_strict_json(text, what);
  const auto digest = text_member(object, kDigestKey, what);
  if (!is_hex(digest)) throw_member(what, kDigestKey, "no digest");
  if (dump_json(object) + "\n" != text || digest128(without_digest(text, object)) != digest)
    throw_damaged(what, "its digest does not fit its contents");
  object.erase(kDigestKey);
  return object;
}

}  // namespace lockstep
