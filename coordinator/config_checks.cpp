#include "coordinator/config_checks.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/config.h"
#include "coordinator/config_schema.h"

namespace lockstep {
namespace {

std::string text_of(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

bool is_given(const GivenValues& given, const char* path) {
  return given.count(path) != 0;
}

// A value that was given, or `absent`.
std::string text_or(const GivenValues& given, const char* path, const std::string& absent) {
  const auto one = given.find(path);
  return one == given.end() ? absent : text_of(one->second.value);
}

std::int64_t integer_or(const GivenValues& given, const char* path, std::int64_t absent) {
  const auto one = given.find(path);
  return one == given.end() ? absent : one->second.value.get<std::int64_t>();
}

void check_own_keys(const GivenValues& given, const std::string& name, const std::string& owner,
                    std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!is_given(given, key) || name == owner) continue;
    fail(given.at(key).place, std::string(key) + " belongs to the task " + owner + ", not to " +
                                  name + "; leave it out");
  }
}

void check_language_model(const GivenValues& given) {
  if (!is_given(given, "data.path"))
    fail(given.at("task.name").place,
         "language_model needs data.path: a text file, or a folder of them");
  const auto width = integer_or(given, "task.width", TaskConfig::kWidth);
  const auto heads = integer_or(given, "task.heads", TaskConfig::kHeads);
  if (width % heads == 0) return;
  const char* key = is_given(given, "task.heads") ? "task.heads" : "task.width";
  fail(given.at(key).place, "task.width (" + std::to_string(width) +
                                ") is no multiple of task.heads (" + std::to_string(heads) +
                                "); each head takes an equal part");
}

void check_task(const GivenValues& given) {
  const std::string name = text_or(given, "task.name", "");
  check_own_keys(given, name, "synthetic",
                 {"task.parameters", "task.tensors", "task.iteration_ms"});
  check_own_keys(given, name, "language_model",
                 {"task.layers", "task.width", "task.heads", "task.context"});
  check_own_keys(given, name, "plugin", {"task.library", "task.options"});
  if (name == "language_model") check_language_model(given);
  if (name == "synthetic" && text_or(given, "precision", "fp32") != "fp32")
    fail(given.at("precision").place,
         "precision: the task synthetic computes in fp32 only; leave it out");
  if (name == "plugin" && !is_given(given, "task.library"))
    fail(given.at("task.name").place,
         "plugin needs task.library: the shared object (.so) that holds the task");
  const TaskConfig defaults;
  const auto parameters = integer_or(given, "task.parameters", defaults.parameters);
  const auto tensors = integer_or(given, "task.tensors", defaults.tensors);
  if (tensors > parameters) {
    const char* key = is_given(given, "task.tensors") ? "task.tensors" : "task.parameters";
    fail(given.at(key).place, "task.tensors (" + std::to_string(tensors) +
                                  ") is more than task.parameters (" + std::to_string(parameters) +
                                  "); each tensor needs at least one");
  }
}

void check_device(const GivenValues& given) {
  const std::string task = text_or(given, "task.name", "");
  const bool cpu_only = is_cpu_only(task);
  const std::string device = text_or(given, "device", "auto");
  if (device == "cuda" && cpu_only)
    fail(given.at("device").place,
         task == "own_loop" ? "device: a loop of one's own chooses where it computes; "
                              "leave it out"
                            : "device: the task " + task + " computes on the CPU; leave it out");
  if (text_or(given, "collectives", "auto") == "nccl" && (device == "cpu" || cpu_only))
    fail(given.at("collectives").place,
         "collectives: NCCL is for GPUs, and this trains on the CPU; write auto or mpi");
}

void check_optimizer(const GivenValues& given) {
  const OptimizerConfig defaults;
  const std::string name = text_or(given, "optimizer.name", defaults.name);
  const auto no_effect = [&](const char* key, const nlohmann::json& standard) {
    if (!is_given(given, key) || given.at(key).value == standard) return;
    fail(given.at(key).place, std::string(key) + " has no effect with " + name + "; leave it out");
  };
  if (name == "sgd") no_effect("optimizer.betas", defaults.betas);
  if (name != "sgd") no_effect("optimizer.momentum", defaults.momentum);
}

void check_keep_best(const GivenValues& given) {
  const auto keep_best = given.find("checkpoint.keep_best");
  if (keep_best == given.end()) {
    if (text_or(given, "restore.mode", "") == "best") {
      const auto interval = integer_or(given, "checkpoint.interval", CheckpointConfig{}.interval);
      const auto evaluate = integer_or(given, "evaluate.interval", interval + 1);
      const std::string also =
          interval % evaluate == 0
              ? ""
              : " and evaluate: {interval: " + std::to_string(interval) + "}, one at each save";
      fail(given.at("restore.mode").place,
           "best goes by checkpoint.keep_best, which is not there; write checkpoint: {keep_best: "
           "{metric: loss, mode: min}}" +
               also);
    }
    return;
  }
  if (!is_given(given, "evaluate.interval")) {
    fail(keep_best->second.place,
         "checkpoint.keep_best needs an evaluation at each save; set evaluate.interval to "
         "checkpoint.interval");
  }
  const auto interval = integer_or(given, "checkpoint.interval", CheckpointConfig{}.interval);
  const auto evaluate = integer_or(given, "evaluate.interval", 1);
  if (interval % evaluate != 0) {
    fail(given.at("evaluate.interval").place,
         "checkpoint.keep_best needs an evaluation at each save: checkpoint.interval (" +
             std::to_string(interval) + ") is no multiple of evaluate.interval (" +
             std::to_string(evaluate) + ")");
  }
}

void check_run_id(const GivenValues& given) {
  const auto id = given.find("run.id");
  if (id == given.end() || text_of(id->second.value).find('$') == std::string::npos) return;
  fail(id->second.place,
       "run.id: variables are expanded in paths only; leave it out and export LOCKSTEP_RUN_ID, or "
       "let it be Slurm's job id");
}

}  // namespace

void check_required(const GivenValues& given, const Place& top) {
  std::vector<std::string> missing;
  if (!is_given(given, "run.max_iterations") && !is_given(given, "run.max_epochs")) {
    missing.emplace_back("run.max_iterations (or run.max_epochs)");
  }
  if (!is_given(given, "store")) missing.emplace_back("store");
  if (!is_given(given, "task.name")) missing.emplace_back("task.name");
  if (missing.empty()) return;
  std::string list;
  for (const std::string& one : missing)
    list += (list.empty() ? "" : ", ") + one;
  fail(top, "missing, but required: " + list);
}

void check_together(const GivenValues& given) {
  check_task(given);
  check_device(given);
  check_optimizer(given);
  check_keep_best(given);
  check_run_id(given);
}

}  // namespace lockstep
