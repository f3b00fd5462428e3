#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace lockstep {

inline constexpr int kMaxDepth = 16;

// Parses JSON that comes from a disk or a peer. Stricter than JSON: duplicate keys, numbers that
// are not finite or integers beyond 64 bits, invalid UTF-8, nesting deeper than `max_depth` and
// anything behind the value are errors; so are a byte order mark and a NUL. Error(kDamaged) with
// `what` in front; no library's own text is shown.
nlohmann::json parse_strict_json(std::string_view text, std::string_view what,
                                 int max_depth = kMaxDepth);

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

// For those who write: null where there is none; an object from its JSON text (Error(kInternal)
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

// Throws Error(kDamaged) "WHAT: PROBLEM".
[[noreturn]] void throw_damaged(std::string_view what, std::string_view problem);

// A record on disk carries its own digest: {"..., "digest": "<digest128 of the text without it>"}.
// seal gives the file's text (keys sorted, one line, newline at the end); unseal checks and gives
// the object without the digest. Error(kDamaged) where the digest is absent or wrong. It is over
// the text, not its meaning, so every flipped bit is seen, white space included.
// `ready`: further members, as JSON texts without white space: large lists, of which a tree would
// take many times the memory.
struct ReadyMember {
  std::string key;
  std::string text;
};
std::string seal(nlohmann::json object, std::span<const ReadyMember> ready = {});
// `opaque`: a member that comes as its JSON text, not as a tree: a large one that few look into.
nlohmann::json unseal(std::string_view text, std::string_view what, std::string_view opaque = {});
// The elements of a list that came so, one tree at a time.
void for_each_element(const nlohmann::json& object, const char* opaque, std::string_view what,
                      const std::function<void(const nlohmann::json&)>& each);

}  // namespace lockstep
