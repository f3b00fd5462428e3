#include "common/config.h"

#include <array>
#include <string>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/config_json.h"
#include "common/error.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

using Json = nlohmann::json;

// A field that the YAML spells as a word.
template <class Field, std::size_t kCount>
struct Worded {
  using Value = std::remove_const_t<Field>;
  Field& field;
  std::array<std::pair<Value, const char*>, kCount> words;
};

template <class Field>
Worded<Field, 2> either(Field& field, const char* if_true, const char* if_false) {
  return {field, {{{true, if_true}, {false, if_false}}}};
}

// The one list of keys and the fields they fill, for both directions. Absent sections are dealt
// with by their callers.
template <class C, class Visit>
void each_field(C& c, const Visit& visit) {
  visit("run.id", c.run.id);
  visit("run.max_iterations", c.run.max_iterations);
  visit("run.max_epochs", c.run.max_epochs);
  visit("run.seed", c.run.seed);
  visit("run.on_nonfinite", either(c.run.stop_on_nonfinite, "stop", "continue"));
  visit("store", c.store);
  visit("task.name", c.task.name);
  visit("task.parameters", c.task.parameters);
  visit("task.tensors", c.task.tensors);
  visit("task.iteration_ms", c.task.iteration_ms);
  visit("task.layers", c.task.layers);
  visit("task.width", c.task.width);
  visit("task.heads", c.task.heads);
  visit("task.context", c.task.context);
  visit("task.library", c.task.library);
  visit("task.options", c.task.options);
  visit("data.path", c.data.path);
  visit("data.global_batch", c.data.global_batch);
  visit("data.micro_batch", c.data.micro_batch);
  visit("optimizer.name", c.optimizer.name);
  visit("optimizer.learning_rate", c.optimizer.learning_rate);
  visit("optimizer.weight_decay", c.optimizer.weight_decay);
  visit("optimizer.betas", c.optimizer.betas);
  visit("optimizer.momentum", c.optimizer.momentum);
  visit("optimizer.clip_norm", c.optimizer.clip_norm);
  visit("optimizer.no_decay", c.optimizer.no_decay);
  visit("schedule.name", c.schedule.name);
  visit("schedule.warmup", c.schedule.warmup);
  visit("schedule.iterations", c.schedule.iterations);
  visit("precision", c.precision);
  visit("evaluate.interval", c.evaluate.interval);
  visit("checkpoint.interval", c.checkpoint.interval);
  visit("checkpoint.minutes", c.checkpoint.minutes);
  visit("checkpoint.keep_last", c.checkpoint.keep_last);
  visit("checkpoint.keep_every", c.checkpoint.keep_every);
  visit("checkpoint.async", c.checkpoint.async);
  visit("checkpoint.when_busy", c.checkpoint.when_busy);
  visit("checkpoint.max_failures", c.checkpoint.max_failures);
  visit("preempt.signals", c.preempt.signals);
  visit("preempt.grace_seconds", c.preempt.grace_seconds);
  visit("preempt.deadline", either(c.preempt.deadline_auto, "auto", "none"));
  visit("watchdog.heartbeat_seconds", c.watchdog.heartbeat_seconds);
  visit("watchdog.stall_seconds", c.watchdog.stall_seconds);
  visit("watchdog.join_seconds", c.watchdog.join_seconds);
  visit("control.listen", c.control_listen);
  visit("metrics.interval", c.metrics.interval);
  visit("metrics.tensorboard", c.metrics.tensorboard);
  visit("metrics.textfile", c.metrics.textfile);
  visit("device", c.device);
  visit("collectives", c.collectives);
  visit("log.format", either(c.log.json, "json", "text"));
  visit("log.level", c.log.level);
}

template <class K, class Visit>
void each_keep_best_field(K& k, const Visit& visit) {
  visit("metric", k.metric);
  visit("mode", either(k.maximize, "max", "min"));
  visit("count", k.count);
}

template <class R, class Visit>
void each_request_field(R& r, const Visit& visit) {
  using Mode = std::remove_reference_t<decltype((r.mode))>;
  visit("mode", Worded<Mode, 4>{r.mode,
                                {{{RestoreMode::kFresh, "fresh"},
                                  {RestoreMode::kLatest, "latest"},
                                  {RestoreMode::kBest, "best"},
                                  {RestoreMode::kIteration, "iteration"}}}});
  visit("iteration", r.iteration);
  visit("attempt", r.attempt);
  visit("from", r.from);
  visit("scope", either(r.model_only, "model", "full"));
  visit("exclude", r.exclude);
  visit("skip_samples", r.skip_samples);
  visit("if_missing", either(r.fresh_if_missing, "fresh", "error"));
  visit("max_lost_iterations", r.max_lost_iterations);
  visit("once", r.once);
}

// Puts fields into a JSON object.
struct Writer {
  Json& object;

  template <class T>
  void operator()(const char* path, const T& field) const {
    object[key_pointer(path)] = field;
  }
  template <class T>
  void operator()(const char* path, const std::optional<T>& field) const {
    object[key_pointer(path)] = field ? Json(*field) : Json(nullptr);
  }
  template <class Field, std::size_t kCount>
  void operator()(const char* path, const Worded<Field, kCount>& worded) const {
    for (const auto& [value, word] : worded.words) {
      if (value == worded.field) object[key_pointer(path)] = word;
    }
  }
};

// A float is not silently cut to an integer: one beyond its range has no integer at all.
template <class T>
T exact(const Json& value) {
  if (std::is_integral_v<T> && !std::is_same_v<T, bool> && !value.is_number_integer())
    throw Error(ErrorCode::kInternal, "config: " + value.dump() + " is no integer");
  return value.get<T>();
}

// Takes fields from a JSON object. Throws Json::exception or Error(kInternal).
struct Reader {
  const Json& object;

  template <class T>
  void operator()(const char* path, T& field) const {
    field = exact<T>(object.at(key_pointer(path)));
  }
  template <class T>
  void operator()(const char* path, std::optional<T>& field) const {
    const Json& value = object.at(key_pointer(path));
    field = value.is_null() ? std::optional<T>() : exact<T>(value);
  }
  template <class Field, std::size_t kCount>
  void operator()(const char* path, const Worded<Field, kCount>& worded) const {
    const auto& text = object.at(key_pointer(path)).get_ref<const std::string&>();
    for (const auto& [value, word] : worded.words) {
      if (text == word) {
        worded.field = value;
        return;
      }
    }
    throw Error(ErrorCode::kInternal, std::string("config: ") + path + " is no known word");
  }
};

void flatten(const std::string& path, const Json& value, std::map<std::string, std::string>& out) {
  if (!value.is_object() || value.empty()) {
    out[path] = value.dump();
    return;
  }
  for (const auto& [key, child] : value.items()) {
    std::string below = path;
    if (!below.empty()) below += '.';
    flatten(below.append(key), child, out);
  }
}

ResolvedPaths paths_from_json(const Json& object) {
  ResolvedPaths paths;
  const Reader read{object};
  read("store", paths.store);
  read("data", paths.data);
  read("from", paths.from);
  read("textfile", paths.textfile);
  read("library", paths.library);
  read("socket", paths.socket);
  return paths;
}

}  // namespace

bool is_cpu_only(const std::string& task) {
  return task == "synthetic" || task == "own_loop";
}

Json::json_pointer key_pointer(std::string_view path) {
  std::string pointer = "/";
  for (const char c : path)
    pointer += c == '.' ? '/' : c;
  return Json::json_pointer(pointer);
}

Json to_json(const KeepBest& keep_best) {
  Json object = Json::object();
  each_keep_best_field(keep_best, Writer{object});
  return object;
}

Json to_json(const Request& request) {
  if (!request.present) return nullptr;
  Json object = Json::object();
  each_request_field(request, Writer{object});
  return object;
}

Json to_json(const Config& config) {
  Json object = Json::object();
  each_field(config, Writer{object});
  const auto& keep_best = config.checkpoint.keep_best;
  object["checkpoint"]["keep_best"] = keep_best ? to_json(*keep_best) : Json(nullptr);
  object["restore"] = to_json(config.restore);
  return object;
}

Config config_from_json(const Json& object) {
  try {
    Config config;
    each_field(config, Reader{object});
    const Json& keep_best = object.at("checkpoint").at("keep_best");
    if (!keep_best.is_null()) {
      each_keep_best_field(config.checkpoint.keep_best.emplace(), Reader{keep_best});
    }
    const Json& restore = object.at("restore");
    config.restore.present = !restore.is_null();
    if (config.restore.present) each_request_field(config.restore, Reader{restore});
    return config;
  } catch (const Json::exception&) {
    throw Error(ErrorCode::kInternal, "config: a key is missing or has another type");
  }
}

std::string canonical_json(const Config& config) {
  return to_json(config).dump();
}

std::string canonical_json(const Request& request) {
  return request.present ? to_json(request).dump() : "{}";
}

std::map<std::string, std::string> flat_config(std::string_view canonical) {
  std::map<std::string, std::string> flat;
  flatten("", parse_strict_json(canonical, "config"), flat);
  return flat;
}

std::string encode(const LoadedConfig& loaded) {
  Json paths = Json::object();
  const Writer write{paths};
  write("store", loaded.paths.store);
  write("data", loaded.paths.data);
  write("from", loaded.paths.from);
  write("textfile", loaded.paths.textfile);
  write("library", loaded.paths.library);
  write("socket", loaded.paths.socket);
  return Json{{"config", to_json(loaded.config)},
              {"paths", std::move(paths)},
              {"restore_is_set", loaded.restore_is_set}}
      .dump();
}

LoadedConfig decode_config(std::string_view bytes) {
  const Json object = Json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  try {
    const LoadedConfig loaded{config_from_json(object.at("config")),
                              paths_from_json(object.at("paths")),
                              object.at("restore_is_set").get<bool>()};
    if (encode(loaded) == bytes) return loaded;
  } catch (const Json::exception&) {  // the same as other bytes than encode's
  }
  throw Error(ErrorCode::kInternal, "config: these are not the bytes that rank 0 sent");
}

}  // namespace lockstep
