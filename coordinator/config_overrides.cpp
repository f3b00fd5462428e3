#include "coordinator/config_overrides.h"

#include <algorithm>
#include <utility>

#include "coordinator/config_restore.h"
#include "coordinator/config_schema.h"
#include "coordinator/config_values.h"

namespace lockstep {
namespace {

constexpr const char* kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

struct Override {
  std::vector<std::string> names;  // "restore.iteration" -> "restore", "iteration"
  YamlNode value;
};

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> names;
  for (std::size_t dot = path.find('.'); dot != path.npos; dot = path.find('.')) {
    names.emplace_back(path.substr(0, dot));
    path.remove_prefix(dot + 1);
  }
  names.emplace_back(path);
  return names;
}

Override parse_override(const std::string& option) {
  const std::size_t sign = option.find('=');
  const std::string path = option.substr(0, sign);
  const Place place{path.empty() ? "--set" : "--set " + escaped(path), 0};
  constexpr const char* kForm = "; write KEY=VALUE, as in --set restore.iteration=1200";
  if (sign == std::string::npos) fail(place, std::string("there is no '='") + kForm);
  Override result;
  result.names = split(path);
  for (const std::string& name : result.names) {
    if (name.empty() || name.find_first_not_of(kLetters) != std::string::npos) {
      fail(place, std::string("this is no key") + kForm);
    }
  }
  result.value = parse_yaml(std::string_view(option).substr(sign + 1), place.text, false);
  const bool is_known = find_key(path) != nullptr || is_section(path);
  if (result.value.kind == YamlKind::kNull && is_known) fail(place, no_value(path));
  return result;
}

// The mapping that `name` of `mapping` is; made where it is missing.
YamlNode& descend(YamlNode& mapping, const std::string& path, const std::string& name,
                  const Place& place) {
  YamlNode* child = find(mapping, name);
  if (child == nullptr) {
    YamlNode section;
    section.kind = YamlKind::kMapping;
    section.place = place;
    mapping.entries.push_back({name, place, std::move(section)});
    return mapping.entries.back().value;
  }
  if (path == "restore") *child = long_restore(std::move(*child));
  if (child->kind == YamlKind::kNull) fail(child->place, no_value(path));
  if (child->kind != YamlKind::kMapping) fail(place, path + " is no section and has no keys");
  return *child;
}

void apply(YamlNode& root, Override override) {
  const Place place = override.value.place;
  YamlNode* section = &root;
  std::string path;
  for (std::size_t i = 0; i + 1 < override.names.size(); ++i) {
    path += (i == 0 ? "" : ".") + override.names[i];
    section = &descend(*section, path, override.names[i], place);
  }
  const std::string& name = override.names.back();
  const auto old = std::find_if(section->entries.begin(), section->entries.end(),
                                [&](const YamlEntry& entry) { return entry.key == name; });
  if (old != section->entries.end()) {
    *old = {name, place, std::move(override.value)};
  } else {
    section->entries.push_back({name, place, std::move(override.value)});
  }
  if (path == "restore") drop_contradictions(*section, name);
}

}  // namespace

void apply_overrides(YamlNode& root, const std::vector<std::string>& overrides) {
  for (const std::string& option : overrides)
    apply(root, parse_override(option));
}

}  // namespace lockstep
