// A plugin whose options say what is wrong with it.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include "common/error.h"
#include "tests/support/toy_task.h"
#include "worker/plugin.h"

namespace {

using lockstep::testing::ToyTask;

int variable(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : otherwise;
}

// The rank that fails where only one is to; the only one without a launcher.
bool is_last() {
  return variable("OMPI_COMM_WORLD_RANK", 0) + 1 == variable("OMPI_COMM_WORLD_SIZE", 1);
}

// Its digest shows what it was made from.
class Told : public ToyTask {
 public:
  Told(const lockstep::PluginArguments& arguments, std::vector<lockstep::TensorSpec> specs,
       std::int64_t samples)
      : ToyTask(std::move(specs), samples),
        told_(arguments.options + "," + arguments.data_path + "," + std::to_string(arguments.seed) +
              "," + std::to_string(arguments.threads)) {
    const auto& wanted = arguments.options;
    if (wanted == "exit(0)" || wanted == "exit(9)")
      before_train = [code = wanted == "exit(0)" ? 0 : 9] {
        if (is_last()) std::exit(code);
      };
    if (wanted == "train() fails")
      before_train = [] {
        if (is_last())
          throw lockstep::Error(lockstep::ErrorCode::kInvalidConfig, "options are wrong after all");
      };
    if (wanted == "evaluate() fails") before_evaluate = [] { fail_if(true); };
    if (wanted == "child")
      before_train = [] {
        if (::fork() == 0) std::exit(0);
      };
  }
  std::string data_digest() const override {
    const bool own = told_.starts_with("data_digest() of the process");
    return told_ + (own ? std::to_string(::getpid()) : "");
  }
  void bind(const lockstep::TensorMemory& memory) override {
    fail_if(told_.starts_with("bind() fails"));
    ToyTask::bind(memory);
  }
  void initialize(std::uint64_t seed) override {
    fail_if(told_.starts_with("initialize() fails"));
    const bool own = told_.starts_with("initialize() of the process");
    ToyTask::initialize(own ? static_cast<std::uint64_t>(::getpid()) : seed);
  }

 private:
  static void fail_if(bool wanted) {
    if (wanted && is_last()) throw std::runtime_error("it went wrong");
  }

  std::string told_;
};

}  // namespace

lockstep::Task* lockstep_make_task(const lockstep::PluginArguments& arguments) {
  const auto& wanted = arguments.options;
  if (wanted == "nothing") return nullptr;
  if (wanted == "Error") throw lockstep::Error(lockstep::ErrorCode::kIo, "the words are locked");
  if (wanted == "exception") throw std::runtime_error("no width\nfrom here\nfrom there");
  if (wanted == "number") throw 7;
  std::vector<lockstep::TensorSpec> specs = {{"weight", {2, 3}}, {"bias", {2}}};
  if (wanted == "no parameter") specs.clear();
  if (wanted == "twice") specs.push_back({"bias", {2}});
  if (wanted == "name") specs.push_back({"a/b", {2}});
  if (wanted == "empty") specs.push_back({"none", {2, 0}});
  if (wanted == "huge") specs.push_back({"all", {1 << 30, 1 << 30}});
  return std::make_unique<Told>(arguments, specs, wanted == "no sample" ? 0 : 100).release();
}
