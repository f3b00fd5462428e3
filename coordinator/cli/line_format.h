#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace lockstep::cli {

// The lines that `lockstep ls --format` prints: "{attempt}@{iteration} {state}". All: Pure.

// A part of a line: text as it stands, or the value of a field.
struct LinePart {
  std::string text;  // what stands there, or the field's name
  bool is_field = false;
  std::string key = {};  // of the one in the field that is meant, where it is an object
};

// Of a template, a line each: `fields` are the names that braces may hold, `objects` those of them
// of which a key may be named, as in {metrics.loss}. \t, \n and \\ are written out, {{ and }} stand
// for braces. Error(kInvalidConfig) that names the nearest field and all of them.
std::vector<LinePart> parse_line_format(const std::string& format,
                                        std::span<const std::string> fields,
                                        std::span<const std::string> objects);

// Error(kInvalidConfig) where a part names a key that is none of `keys`: the nearest and all.
void require_keys(std::span<const LinePart> parts, const std::vector<std::string>& keys);

// One line, with the values that `object` has: texts with their control characters escaped, numbers
// and objects as JSON has them, "-" for null and for a key that is not there.
std::string format_line(std::span<const LinePart> parts, const nlohmann::ordered_json& object);

}  // namespace lockstep::cli
