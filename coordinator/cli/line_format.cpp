#include "coordinator/cli/line_format.h"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/log.h"
#include "coordinator/candidates.h"
#include "coordinator/config_hints.h"
#include "coordinator/json_text.h"

namespace lockstep::cli {

namespace {

using nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& cause, const std::string& advice) {
  throw Error(ErrorCode::kInvalidConfig, "--format: " + cause + "; " + advice);
}

bool is_in(std::span<const std::string> names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

LinePart field_of(const std::string& given, std::span<const std::string> fields,
                  std::span<const std::string> objects) {
  if (is_in(fields, given)) return {given, true};
  const auto dot = std::min(given.find('.'), given.size());
  const auto name = given.substr(0, dot);
  if (is_in(objects, name) && dot + 1 < given.size()) return {name, true, given.substr(dot + 1)};
  const auto near = nearest(name, {fields.begin(), fields.end()});
  fail("there is no field {" + given + "}" + (near.empty() ? "" : ", did you mean {" + near + "}?"),
       "fields are " + enumerate(fields, fields.size()) +
           (objects.empty() ? "" : ", and {" + objects.front() + ".NAME} for one of them"));
}

// What stands behind a backslash.
char escaped(const std::string& format, std::size_t at) {
  switch (at < format.size() ? format[at] : '\0') {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case '\\':
      return '\\';
    default:
      fail("'" + format.substr(at - 1, 2) + "' is no escape", "there are \\t, \\n and \\\\");
  }
}

void add_text(std::vector<LinePart>& parts, char c) {
  if (parts.empty() || parts.back().is_field) parts.push_back({});
  parts.back().text += c;
}

std::string text_of(const ordered_json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return escape_controls(value.get_ref<const std::string&>());
  return json_text(value);
}

}  // namespace

std::vector<LinePart> parse_line_format(const std::string& format,
                                        std::span<const std::string> fields,
                                        std::span<const std::string> objects) {
  if (format.empty())
    fail("it is empty", "write fields in braces, as in '{" + fields.front() + "}'; fields are " +
                            enumerate(fields, fields.size()));
  std::vector<LinePart> parts;
  for (std::size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    const bool doubled = at + 1 < format.size() && format[at + 1] == c;
    if (c == '\\') {
      add_text(parts, escaped(format, ++at));
    } else if ((c == '{' || c == '}') && doubled) {
      add_text(parts, format[at++]);
    } else if (c == '{') {
      const auto end = format.find('}', at);
      if (end == std::string::npos)
        fail("a '{' is not closed", "write {NAME}, or {{ for the character");
      parts.push_back(field_of(format.substr(at + 1, end - at - 1), fields, objects));
      at = end;
    } else if (c == '}') {
      fail("a '}' stands alone", "write {NAME}, or }} for the character");
    } else {
      add_text(parts, c);
    }
  }
  return parts;
}

void require_keys(std::span<const LinePart> parts, const std::vector<std::string>& keys) {
  for (const auto& part : parts) {
    if (part.key.empty() || is_in(keys, part.key)) continue;
    const auto near = nearest(part.key, keys);
    const auto name = [&](const std::string& key) { return "{" + part.text + "." + key + "}"; };
    fail("no checkpoint has " + name(part.key) +
             (near.empty() ? "" : ", did you mean " + name(near) + "?"),
         part.text + " are " + enumerate(keys, keys.size()));
  }
}

std::string format_line(std::span<const LinePart> parts, const ordered_json& object) {
  std::string line;
  for (const auto& part : parts) {
    if (!part.is_field) {
      line += part.text;
      continue;
    }
    const auto& value = object.at(part.text);
    if (part.key.empty()) {
      line += text_of(value);
    } else {
      const auto found = value.find(part.key);
      line += found != value.end() ? text_of(*found) : "-";
    }
  }
  return line;
}

}  // namespace lockstep::cli
