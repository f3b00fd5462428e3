#include "common/strict_json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

#include <simdjson.h>

#include "common/digest.h"
#include "common/error.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr const char* kDigestKey = "digest";

// simdjson reads, since a decision reads hundreds of records and nlohmann's lexer was half of its
// time; nlohmann's tree is what all else works with.
class TreeBuilder {
 public:
  // `opaque`: the key of a member of the outermost object that is left out.
  TreeBuilder(std::string_view what, int max_depth, std::string_view opaque = {})
      : what_(what), max_depth_(max_depth), opaque_(opaque) {}

  json build(const simdjson::dom::element& element, int depth = 0) const {
    switch (element.type()) {
      case simdjson::dom::element_type::OBJECT:
        return object(element, deeper(depth));
      case simdjson::dom::element_type::ARRAY:
        return array(element, deeper(depth));
      case simdjson::dom::element_type::STRING:
        return std::string(std::string_view(element));
      case simdjson::dom::element_type::INT64:
        return integer(element);
      case simdjson::dom::element_type::UINT64:
        return std::uint64_t(element);
      case simdjson::dom::element_type::DOUBLE:
        return double(element);
      case simdjson::dom::element_type::BOOL:
        return bool(element);
      case simdjson::dom::element_type::NULL_VALUE:
        break;
    }
    return nullptr;
  }

 private:
  int deeper(int depth) const {
    if (depth >= max_depth_) throw_damaged(what_, "is nested too deep");
    return depth + 1;
  }

  // As nlohmann has it: only what is below zero is signed.
  static json integer(std::int64_t value) {
    if (value < 0) return value;
    return static_cast<std::uint64_t>(value);
  }

  json object(const simdjson::dom::object& members, int depth) const {
    json::object_t tree;
    for (const auto& [key, value] : members) {
      // Mostly the keys ascend, as seal writes them.
      const auto size = tree.size();
      const auto place = tree.try_emplace(tree.end(), std::string(key));
      if (tree.size() == size) throw_damaged(what_, "holds a key twice");
      if (depth > 1 || opaque_.empty() || key != opaque_) place->second = build(value, depth);
    }
    return tree;
  }

  json array(const simdjson::dom::array& elements, int depth) const {
    json::array_t tree;
    tree.reserve(elements.size());
    for (const auto& element : elements)
      tree.push_back(build(element, depth));
    return tree;
  }

  std::string_view what_;
  int max_depth_;
  std::string_view opaque_;
};

// `parser` holds what the element refers to.
simdjson::dom::element parse_text(simdjson::dom::parser& parser, std::string_view text,
                                  std::string_view what) {
  if (text.starts_with("\xEF\xBB\xBF")) throw_damaged(what, "begins with a byte order mark");
  simdjson::dom::element root;
  switch (parser.parse(text.data(), text.size()).get(root)) {
    case simdjson::SUCCESS:
      return root;
    case simdjson::DEPTH_ERROR:
      throw_damaged(what, "is nested too deep");
    case simdjson::MEMALLOC:
      throw std::bad_alloc();
    default:
      throw_damaged(what, "is no valid JSON");
  }
}

json parse_json(std::string_view text, const TreeBuilder& builder, std::string_view what) {
  simdjson::dom::parser parser;
  return builder.build(parse_text(parser, text, what));
}

[[noreturn]] void throw_member(std::string_view what, const char* key, const char* problem) {
  throw_damaged(what, std::string(key) + " is " + problem);
}

std::optional<std::int64_t> as_integer(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (!std::in_range<std::int64_t>(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

// Where the string that begins at `at` ends: behind its closing quote.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (auto end = text.find('"', at + 1);; end = text.find('"', end + 1)) {
    auto escape = end;
    while (text[escape - 1] == '\\')
      --escape;
    if ((end - escape) % 2 == 0) return end + 1;
  }
}

// The text of a member of the outermost object: `line` is valid JSON without white space.
std::string_view text_of_member(std::string_view line, std::string_view key) {
  const auto wanted = "\"" + std::string(key) + "\":";
  std::size_t begin = 0;  // of the wanted value; 0: not met yet
  int depth = 0;
  for (std::size_t at = 0; at < line.size();) {
    const char c = line[at];
    const bool ends = depth == 1 && (c == ',' || c == '}');
    if (begin > 0 && ends) return line.substr(begin, at - begin);
    if (c == '"') {
      if (depth == 1 && begin == 0 && line.substr(at).starts_with(wanted))
        begin = at + wanted.size();
      at = end_of_string(line, at);
      continue;
    }
    depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
    ++at;
  }
  return {};
}

// The sealed line without its digest, told by the text alone: to write thousands of records anew
// cost more than half of a decision. An inner member of the same key has another value, since
// nothing can hold its own hash.
// nullopt: the member is not written as seal does.
std::optional<std::string> without_digest(std::string_view line, const std::string& digest) {
  const std::string member = std::string("\"") + kDigestKey + "\":\"" + digest + "\"";
  const auto at = line.find(member);
  if (at == std::string_view::npos) return std::nullopt;
  auto before = line.substr(0, at);
  auto behind = line.substr(at + member.size());
  // One comma goes with it: that behind it, or where it is the last that before it.
  if (behind.starts_with(',')) {
    behind.remove_prefix(1);
  } else if (before.ends_with(',')) {
    before.remove_suffix(1);
  }
  return std::string(before) + std::string(behind);
}

}  // namespace

void throw_damaged(std::string_view what, std::string_view problem) {
  throw Error(ErrorCode::kDamaged, std::string(what) + ": " + std::string(problem));
}

json parse_strict_json(std::string_view text, std::string_view what, int max_depth) {
  return parse_json(text, TreeBuilder(what, max_depth), what);
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

std::string seal(json object, std::span<const ReadyMember> ready) {
  object[kDigestKey] = nullptr;
  for (const auto& member : ready)
    object[member.key] = nullptr;
  std::string line = "{";  // without the digest
  std::size_t digest_at = 1;
  for (const auto& [key, value] : object.items()) {
    if (key == kDigestKey) {
      digest_at = line.size();
      continue;
    }
    if (line.size() > 1) line += ',';
    line += dump_json(key) + ':';
    const auto member = std::ranges::find(ready, key, &ReadyMember::key);
    line += member == ready.end() ? dump_json(value) : member->text;
  }
  line += '}';
  auto digest = std::string("\"") + kDigestKey + "\":\"" + digest128(line) + "\"";
  if (digest_at > 1)
    digest.insert(0, 1, ',');
  else if (line != "{}")
    digest += ',';
  line.insert(digest_at, digest);
  return line + '\n';
}

json unseal(std::string_view text, std::string_view what, std::string_view opaque) {
  json object = parse_json(text, TreeBuilder(what, kMaxDepth, opaque), what);
  const auto digest = text_member(object, kDigestKey, what);
  if (!is_hex(digest)) throw_member(what, kDigestKey, "no digest");
  const auto digested =
      text.ends_with('\n') ? without_digest(text.substr(0, text.size() - 1), digest) : std::nullopt;
  if (!digested || digest128(*digested) != digest)
    throw_damaged(what, "its digest does not fit its contents");
  if (!opaque.empty() && object.contains(opaque))
    object[std::string(opaque)] = text_of_member(text, opaque);
  object.erase(kDigestKey);
  return object;
}

void for_each_element(const json& object, const char* opaque, std::string_view what,
                      const std::function<void(const json&)>& each) {
  const auto text = text_member(object, opaque, what);
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (parse_text(parser, text, what).get(list) != simdjson::SUCCESS)
    throw_member(what, opaque, "no list");
  const TreeBuilder builder(what, kMaxDepth);
  constexpr int kDepthOfElements = 2;
  for (const auto& element : list)
    each(builder.build(element, kDepthOfElements));
}

}  // namespace lockstep
