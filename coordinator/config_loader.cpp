#include "coordinator/config_loader.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/config_json.h"
#include "common/error.h"
#include "common/file_system.h"
#include "coordinator/config_checks.h"
#include "coordinator/config_file.h"
#include "coordinator/config_hints.h"
#include "coordinator/config_overrides.h"
#include "coordinator/config_paths.h"
#include "coordinator/config_restore.h"
#include "coordinator/config_schema.h"
#include "coordinator/config_values.h"
#include "coordinator/status/listen_address.h"
#include "coordinator/yaml_tree.h"

namespace lockstep {
namespace {

using Json = nlohmann::json;

// How a section is written that a lone value was given for: "; write {name: adamw}", or what that
// key would say of the value; "" where no key is the obvious one.
std::string as_only_key(const std::string& path, const YamlNode& node) {
  for (const std::string name : {"name", "interval", "listen", "level"}) {
    const KeySpec* key = find_key(std::string(path).append(".").append(name));
    if (key == nullptr) continue;
    try {
      read_value(*key, node);
      return "; write {" + name + ": " + printable(node.text) + "}";
    } catch (const Error& error) {
      const std::string_view said = error.what();
      return "; write {" + name + ": VALUE}: " +
             std::string(said.substr(node.place.text.size() + std::string_view(": ").size()));
    }
  }
  return "";
}

[[noreturn]] void fail_no_section(const std::string& path, const YamlNode& node) {
  if (node.kind == YamlKind::kSequence)
    fail(node.place, path + " is a section of keys, not a list");
  std::string message = path + " is a section of keys, not '" + printable(node.text) + "'";
  if (node.text.find(':') != std::string::npos && !node.quoted) {
    message += "; a space is missing after the ':'";
  } else if (path == "checkpoint" && (node.text == "off" || node.text == "false")) {
    message += "; they can't be turned off: write {interval: N} with a large N";
  } else {
    message += as_only_key(path, node);
  }
  fail(node.place, message);
}

// Takes in the keys below `section`, checked one by one. Sections are noted too, with an object.
void collect(const YamlNode& section, const std::string& path, GivenValues& given) {
  if (section.kind == YamlKind::kNull) fail(section.place, no_value(path));
  if (section.kind != YamlKind::kMapping) fail_no_section(path, section);
  if (section.entries.empty())
    fail(section.place, path + " is empty; give it keys, or leave it out");
  for (const YamlEntry& entry : section.entries) {
    if (entry.key.find('.') != std::string::npos) {
      fail(entry.place, "unknown key '" + printable(entry.key) +
                            "'; sections are written as 'run: {seed: 1}', not with dots");
    }
    if (entry.key.find(':') != std::string::npos) {
      fail(entry.place,
           "unknown key '" + printable(entry.key) + "'; a space is missing after the ':'");
    }
    const std::string child = path.empty() ? entry.key : path + "." + entry.key;
    if (const KeySpec* key = find_key(child)) {
      given[child] = {read_value(*key, entry.value), entry.value.place};
    } else if (is_section(child)) {
      given[child] = {Json::object(), entry.place};
      const YamlNode below = child == "restore" ? long_restore(entry.value) : entry.value;
      if (child == "restore") check_restore_words(below);
      collect(below, child, given);
    } else {
      fail(entry.place, unknown_key(path, entry));
    }
  }
}

Config build(const GivenValues& given) {
  Json all = to_json(Config{});
  if (given.count("checkpoint.keep_best") != 0) {
    all["checkpoint"]["keep_best"] = to_json(KeepBest{});
  }
  if (given.count("restore") != 0) {
    Request request;
    request.present = true;
    all["restore"] = to_json(request);
  }
  for (const auto& [path, one] : given) {
    if (one.value.is_object()) continue;
    all[key_pointer(path)] = one.value;
  }
  return config_from_json(all);
}

std::optional<std::string> socket_of(const GivenValues& given, const std::string& config_file,
                                     const Environment& environment) {
  const auto one = given.find("control.listen");
  if (one == given.end()) return std::nullopt;
  const auto address = parse_listen_address(one->second.value.get<std::string>());
  if (!address || !address->is_unix()) return std::nullopt;
  return resolve_path("control.listen", address->socket_path, one->second.place, config_file,
                      environment);
}

ResolvedPaths resolve(const GivenValues& given, const std::string& config_file,
                      const Environment& environment) {
  const auto path = [&](const char* key) -> std::optional<std::string> {
    const auto one = given.find(key);
    if (one == given.end()) return std::nullopt;
    const auto& [value, place] = one->second;
    return resolve_path(key, value.get<std::string>(), place, config_file, environment);
  };
  return {path("store").value(), path("data.path"),
          path("restore.from"),  path("metrics.textfile"),
          path("task.library"),  socket_of(given, config_file, environment)};
}

}  // namespace

LoadedConfig parse_config(std::string_view text, const std::string& path,
                          const std::vector<std::string>& overrides,
                          const Environment& environment) {
  const std::string name = escaped(path);
  check_config_size(text.size(), name);
  YamlNode root = parse_yaml(text, name, true);
  if (root.kind == YamlKind::kNull) root.kind = YamlKind::kMapping;
  if (root.kind != YamlKind::kMapping) {
    const char* what = root.kind == YamlKind::kSequence ? "a list" : "a text";
    fail(root.place, std::string("the top level is ") + what +
                         ", not a mapping; write keys as 'store: ./checkpoints', with a space "
                         "after the ':'");
  }
  const Place top = root.place;
  apply_overrides(root, overrides);
  GivenValues given;
  if (!root.entries.empty()) collect(root, "", given);
  if (const auto restore = given.find("restore"); restore != given.end()) {
    complete_restore(given, restore->second.place);
  }
  check_required(given, top);
  check_together(given);
  const bool restore_is_set =
      std::any_of(overrides.begin(), overrides.end(), [](const std::string& one) {
        return one.starts_with("restore=") || one.starts_with("restore.");
      });
  return {build(given), resolve(given, path, environment), restore_is_set};
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides,
                         const Environment& environment) {
  auto loaded = parse_config(read_config_file(path), path, overrides, environment);
  const auto follow = [](const char* key, std::string& to) {
    to = follow_links(to);
    require_utf8(key, to, {"where links lead"});
  };
  follow("store", loaded.paths.store);
  if (loaded.paths.from) follow("restore.from", *loaded.paths.from);
  return loaded;
}

}  // namespace lockstep
