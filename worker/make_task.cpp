#include "worker/make_task.h"

#include "common/error.h"
#include "worker/fashion_mnist.h"
#include "worker/language_model.h"
#include "worker/plugin_task.h"
#include "worker/synthetic.h"

namespace lockstep {

std::unique_ptr<Task> make_task(const LoadedConfig& loaded, int threads) {
  const auto& task = loaded.config.task;
  if (task.name == "synthetic") {
    return std::make_unique<Synthetic>(task, static_cast<std::uint64_t>(loaded.config.run.seed));
  }
  if (task.name == "fashion_mnist") return make_fashion_mnist(loaded.paths.data, threads);
  if (task.name == "language_model")
    return make_language_model(task, loaded.paths.data.value_or(""), threads);
  if (task.name == "plugin") return make_plugin_task(loaded, threads);
  if (task.name == "own_loop")
    throw Error(ErrorCode::kInvalidConfig,
                "task.name: own_loop is for a program with a training loop of its own; start that "
                "in place of lockstepd");
  throw Error(ErrorCode::kInvalidConfig, "task.name: '" + task.name + "' is not in this version");
}

}  // namespace lockstep
