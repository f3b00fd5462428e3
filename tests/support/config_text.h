#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/config.h"
#include "common/error.h"
#include "coordinator/config_loader.h"

namespace lockstep {

// For tests of the configuration: texts in, configurations or messages out.

// The keys that every configuration needs, on three lines.
inline const std::string required =
    "run: {max_iterations: 10}\nstore: ./s\ntask: {name: synthetic}\n";

// Every key, none at its default where this version has a choice.
inline constexpr const char* kEverything = R"(
run: {id: 4242, max_iterations: 2000, max_epochs: 3, seed: 9223372036854775807, on_nonfinite: continue}
store: "${SCRATCH}/ckpt"
task: {name: synthetic, parameters: 1000, tensors: 4, iteration_ms: 5}
data: {path: ~/data, global_batch: 2147483648, micro_batch: 8}
optimizer: {name: adam, learning_rate: 0, weight_decay: 1e-2, betas: [0, 0.5], momentum: 0.0, clip_norm: 1, no_decay: ["*.bias"]}
schedule: {name: cosine, warmup: 5000, iterations: 100}
precision: fp32
evaluate: {interval: 50}
checkpoint: {interval: 100, keep_last: 1, async: false, when_busy: wait, max_failures: 0}
restore: {mode: iteration, iteration: 0, attempt: 3, scope: full, exclude: [], skip_samples: 0, max_lost_iterations: 0, once: false}
preempt: {signals: [INT, HUP], grace_seconds: 0, deadline: none}
watchdog: {heartbeat_seconds: 0.5, stall_seconds: 1e3, join_seconds: 1.5E+1}
control: {listen: off}
metrics: {interval: 1, tensorboard: false}
device: cpu
collectives: mpi
log: {format: json, level: debug}
)";

// HOME, SCRATCH, DOLLAR and an empty EMPTY.
inline std::optional<std::string> environment(const std::string& name) {
  static const std::map<std::string, std::string> set = {
      {"HOME", "/home/me"}, {"SCRATCH", "/scratch/me"}, {"EMPTY", ""}, {"DOLLAR", "$HOME~"}};
  const auto variable = set.find(name);
  return variable == set.end() ? std::nullopt : std::optional(variable->second);
}

inline LoadedConfig parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_config(text, "/jobs/train.yaml", overrides, environment);
}

inline Request request_of(const std::string& restore,
                          const std::vector<std::string>& overrides = {}) {
  return parse(required + (restore.empty() ? "" : "restore: " + restore + "\n"), overrides)
      .config.restore;
}

// What the user reads, or "" where the text is accepted.
inline std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {},
                            const std::string& name = "train.yaml") {
  try {
    parse_config(text, name, overrides, environment);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig) << error.what();
    return error.what();
  }
  return "";
}

}  // namespace lockstep
