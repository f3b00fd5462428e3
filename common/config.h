#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// What a user's YAML says, complete: defaults filled in, every value checked. A value; equal on
// all ranks. The keys, their defaults and their meaning are DESIGN's "Configuration".

enum class RestoreMode : std::uint8_t { kFresh, kLatest, kBest, kIteration };

// The `restore` section. `present` is false where the YAML has none: then the user has not chosen.
struct Request {
  bool present = false;
  RestoreMode mode = RestoreMode::kLatest;
  std::optional<std::int64_t> iteration;  // set exactly when mode is kIteration
  std::optional<std::int64_t> attempt;
  std::optional<std::string> from;  // as written
  bool model_only = false;          // scope: model
  std::vector<std::string> exclude;
  std::int64_t skip_samples = 0;
  bool fresh_if_missing = false;  // if_missing: fresh
  std::optional<std::int64_t> max_lost_iterations;
  bool once = true;

  friend bool operator==(const Request&, const Request&) = default;
};

struct RunConfig {
  std::optional<std::string> id;
  std::optional<std::int64_t> max_iterations;  // absent only where max_epochs is given
  std::optional<std::int64_t> max_epochs;
  std::int64_t seed = 1;
  bool stop_on_nonfinite = true;  // on_nonfinite: stop | continue
};

struct TaskConfig {
  std::string name;  // fashion_mnist | language_model | plugin | synthetic
  // synthetic's own keys; at their defaults for other tasks.
  std::int64_t parameters = 1'000'000;
  std::int64_t tensors = 16;
  std::int64_t iteration_ms = 0;
  // language_model's own keys; absent for other tasks, and where the YAML has them not.
  static constexpr std::int64_t kLayers = 4;
  static constexpr std::int64_t kWidth = 256;
  static constexpr std::int64_t kHeads = 4;
  static constexpr std::int64_t kContext = 128;
  std::optional<std::int64_t> layers;
  std::optional<std::int64_t> width;
  std::optional<std::int64_t> heads;
  std::optional<std::int64_t> context;  // bytes of a sample
  // plugin's own keys; absent for other tasks.
  std::optional<std::string> library;  // as written
  std::optional<std::string> options;  // for the plugin alone to understand
};

// Pure: whether a task never uses a GPU of this program's choice: it computes in plain C++, or is a
// loop of one's own.
bool is_cpu_only(const std::string& task);

struct DataConfig {
  std::optional<std::string> path;  // as written
  std::int64_t global_batch = 256;
  std::optional<std::int64_t> micro_batch;
};

struct OptimizerConfig {
  std::string name = "adamw";  // adamw | adam | sgd
  double learning_rate = 1.0e-3;
  double weight_decay = 0.01;
  std::array<double, 2> betas = {0.9, 0.999};
  double momentum = 0.0;
  std::optional<double> clip_norm;
  std::optional<std::vector<std::string>> no_decay;  // globs; absent: tensors of one dimension
};

struct ScheduleConfig {
  std::string name = "constant";  // constant | linear | cosine
  std::int64_t warmup = 0;
  std::optional<std::int64_t> iterations;  // absent: run.max_iterations
};

struct EvaluateConfig {
  std::optional<std::int64_t> interval;  // absent: at the end
};

struct KeepBest {
  std::string metric = "accuracy";
  bool maximize = true;  // mode: max | min
  std::int64_t count = 1;
};

struct CheckpointConfig {
  std::int64_t interval = 200;
  std::optional<double> minutes;
  std::int64_t keep_last = 3;
  std::optional<std::int64_t> keep_every;
  std::optional<KeepBest> keep_best;
  bool async = true;
  std::string when_busy = "wait";
  std::int64_t max_failures = 3;
};

struct PreemptConfig {
  std::vector<std::string> signals = {"USR1", "USR2", "TERM", "XCPU"};
  std::int64_t grace_seconds = 60;
  bool deadline_auto = true;  // deadline: auto | none
};

struct WatchdogConfig {
  double heartbeat_seconds = 5;
  double stall_seconds = 300;
  double join_seconds = 900;
};

struct MetricsConfig {
  std::int64_t interval = 10;
  bool tensorboard = false;
  std::optional<std::string> textfile;
};

struct LogConfig {
  bool json = false;           // format: text | json
  std::string level = "info";  // debug | info | warning | error
};

struct Config {
  RunConfig run;
  std::string store = "./checkpoints";  // as written
  TaskConfig task;
  DataConfig data;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  std::string precision = "fp32";
  EvaluateConfig evaluate;
  CheckpointConfig checkpoint;
  Request restore;
  PreemptConfig preempt;
  WatchdogConfig watchdog;
  std::string control_listen = "off";
  MetricsConfig metrics;
  std::string device = "auto";
  std::string collectives = "auto";
  LogConfig log;
};

// Absolute paths that the written ones mean on rank 0: relative to the YAML, ${NAME} and ~
// expanded. They travel beside the configuration and are no part of it.
struct ResolvedPaths {
  std::string store;
  std::optional<std::string> data;
  std::optional<std::string> from;
  std::optional<std::string> textfile;
  std::optional<std::string> library;
  std::optional<std::string> socket;  // of control.listen
};

// A configuration as it travels to the other ranks.
struct LoadedConfig {
  Config config;
  ResolvedPaths paths;
  bool restore_is_set = false;  // --set has a part in its restore section
};

// Pure: one line of JSON with every key, sorted, defaults filled in; paths as written; `restore` is
// null where the section is absent. Equal texts mean equal configurations. Goes into claim.json and
// manifests; its digest is compared on all ranks.
std::string canonical_json(const Config& config);

// Pure: the `restore` section alone, keys sorted, defaults filled in: {"attempt":null,"exclude":[],
// "from":null,"if_missing":"error","iteration":null,"max_lost_iterations":null,"mode":"latest",
// "once":true,"scope":"full","skip_samples":0}; {} where the section is absent.
std::string canonical_json(const Request& request);

// Pure: the same keys as canonical_json(config), flattened: "checkpoint.keep_last" -> "3" (JSON
// text of the value). For listing differences between two configurations.
std::map<std::string, std::string> flat_config(std::string_view canonical);

// Pure: what the ranks exchange, and back. decode throws Error(kInternal) on bytes that encode did
// not make.
std::string encode(const LoadedConfig& loaded);
LoadedConfig decode_config(std::string_view bytes);

}  // namespace lockstep
