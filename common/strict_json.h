#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace lockstep {

inline constexpr int kMaxDepth = 16;

// Throws Error(kDamaged) "WHAT: PROBLEM".
[[noreturn]] void throw_damaged(std::string_view what, std::string_view problem);

// Parses JSON that comes from a disk or a peer. Stricter than JSON: duplicate keys, numbers that
// are not finite or integers beyond 64 bits, invalid UTF-8, nesting deeper than `max_depth` and
// anything behind the value are errors; so are a byte order mark and a NUL. Error(kDamaged) with
// `what` in front; no library's own text is shown. `opaque`: the key of a member of the outermost
// object whose value is left null.
nlohmann::json parse_strict_json(std::string_view text, std::string_view what,
                                 int max_depth = kMaxDepth, std::string_view opaque = {});
// The elements of a list, each a tree of its own, so that a large one is never in memory as one.
// `depth`: how deep they stand.
void for_each_in_list(std::string_view text, std::string_view what, int depth,
                      const std::function<void(const nlohmann::json&)>& each);

}  // namespace lockstep
