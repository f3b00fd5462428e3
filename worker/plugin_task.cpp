#include "worker/plugin_task.h"

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <system_error>

#include <cxxabi.h>
#include <dlfcn.h>

#include "common/error.h"
#include "common/safetensors.h"
#include "worker/model_tensors.h"
#include "worker/plugin_abi.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 40;

// LibTorch's errors bring a stack with them.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string demangled(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
  return name ? name.get() : symbol;
}

// What dlopen said, for people: without the path, which they are told anyway, and with advice.
std::string load_failure(const std::string& path, std::string said) {
  if (said.starts_with(path + ": ")) said.erase(0, path.size() + 2);
  constexpr std::string_view kUndefined = "undefined symbol: ";
  if (said.starts_with(kUndefined)) {
    const auto symbol = said.substr(kUndefined.size());
    return "it needs " + demangled(symbol.substr(0, symbol.find(','))) +
           ", which nobody has; link it with the library that has it, and build it with this "
           "lockstep's headers";
  }
  if (const auto end = said.find(": cannot open shared object file"); end != std::string::npos)
    return "it needs " + said.substr(0, end) +
           ", which is not found; install it, or link the plugin with its folder as RPATH";
  return "is no shared object that can be loaded here (" + said +
         "); name the .so that the plugin's build makes";
}

// A shared object that is loaded for good.
class Library {
 public:
  explicit Library(const std::string& path) : path_(path) {
    std::error_code unreadable;
    const auto status = std::filesystem::status(path, unreadable);
    if (status.type() == std::filesystem::file_type::not_found)
      fail(ErrorCode::kNotFound, "is not there; build the plugin, or correct the path");
    if (std::filesystem::is_directory(status))
      fail(ErrorCode::kInvalidConfig, "is a folder; name the .so file in it");
    handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle_ == nullptr)
      fail(ErrorCode::kInvalidConfig, load_failure(path, ::dlerror()));  // NOLINT: a thread's own
  }

  template <typename Function>
  Function* function(const char* name) const {
    if (auto* found = ::dlsym(handle_, name)) return reinterpret_cast<Function*>(found);  // NOLINT
    fail(ErrorCode::kInvalidConfig, std::string("is no plugin of lockstep: it lacks ") + name +
                                        "; include worker/plugin.h and define lockstep_make_task");
  }

  [[noreturn]] void fail(ErrorCode code, const std::string& what) const {
    throw Error(code, "task.library: " + path_ + ": " + what);
  }

 private:
  const std::string path_;
  void* handle_ = nullptr;
};

void require_same_build(const Library& library, const PluginInfo& its) {
  constexpr PluginInfo kOurs = plugin_info_here();
  const auto fail = [&](const std::string& what, const std::string& theirs, const std::string& ours,
                        const std::string& advice) {
    library.fail(ErrorCode::kMismatch, "was built with " + what + " " + theirs +
                                           ", this lockstepd with " + ours + "; " + advice);
  };
  if (its.abi != kOurs.abi)
    fail("version", std::to_string(its.abi), std::to_string(kOurs.abi) + " of plugin.h",
         "build it anew with this lockstep's headers");
  if (std::string_view(its.standard_library) != kOurs.standard_library)
    fail("the standard library", its.standard_library, kOurs.standard_library,
         "build it anew with that one");
  if (std::string_view(its.libtorch) != kOurs.libtorch)
    fail("LibTorch", its.libtorch, kOurs.libtorch, "build it anew with that one");
}

std::unique_ptr<Task> call_factory(const Library& library, PluginTaskFunction* make,
                                   const PluginArguments& arguments) {
  try {
    if (std::unique_ptr<Task> task{make(arguments)}) return task;
  } catch (const Error& e) {
    library.fail(e.code() == ErrorCode::kOk ? ErrorCode::kInvalidConfig : e.code(),
                 first_line(e.what()));
  } catch (const std::exception& e) {
    library.fail(ErrorCode::kInvalidConfig, "lockstep_make_task failed: " + first_line(e.what()));
  } catch (...) {
    library.fail(ErrorCode::kInvalidConfig,
                 "lockstep_make_task threw what is no std::exception; let it throw a "
                 "lockstep::Error that says why");
  }
  library.fail(ErrorCode::kInvalidConfig,
               "lockstep_make_task gave no task but a null pointer; let it throw a lockstep::Error "
               "that says why");
}

// As the longest name that a checkpoint makes of it.
bool can_be_saved_as(const std::string& name) {
  return !name.empty() && is_tensor_name("optimizer." + name + ".momentum_buffer");
}

bool is_shape(const std::vector<std::int64_t>& shape) {
  std::int64_t elements = 1;
  for (const auto extent : shape) {
    if (extent < 1 || extent > kMostElements / elements) return false;
    elements *= extent;
  }
  return true;
}

void check_tensors(const Library& library, const std::vector<TensorSpec>& tensors,
                   const std::string& list) {
  std::set<std::string> names;
  for (const auto& [name, shape] : tensors) {
    const auto fail = [&](const std::string& what) {
      library.fail(ErrorCode::kInvalidConfig, "its task's " + list + " has " + what);
    };
    if (!can_be_saved_as(name)) fail("a tensor whose name is empty, too long or not for a file");
    if (!names.insert(name).second) fail("two tensors named " + name);
    if (!is_shape(shape)) fail("the tensor " + name + " with a shape of no, or too many, elements");
  }
}

// What others wrote: all that the rest relies on without a look.
void check_task(const Library& library, const Task& task) {
  check_tensors(library, task.parameters(), "parameters()");
  check_tensors(library, task.buffers(), "buffers()");
  const auto fail = [&](const std::string& what) {
    library.fail(ErrorCode::kInvalidConfig, "its task has " + what);
  };
  if (task.parameters().empty()) fail("no parameter");
  if (task.training_samples() < 1) fail("no training sample");
  if (task.evaluation_samples() < 0) fail("fewer than no evaluation samples");
  if (task.data_digest().empty()) fail("no data_digest()");
}

}  // namespace

std::unique_ptr<Task> make_plugin_task(const LoadedConfig& loaded, int threads) {
  const Library library(loaded.paths.library.value_or(""));
  require_same_build(library, library.function<PluginInfoFunction>(kPluginInfoSymbol)());
  auto* const make = library.function<PluginTaskFunction>(kPluginTaskSymbol);
  prepare_libtorch(threads);
  auto task = call_factory(library, make,
                           {.options = loaded.config.task.options.value_or(""),
                            .data_path = loaded.paths.data.value_or(""),
                            .seed = static_cast<std::uint64_t>(loaded.config.run.seed),
                            .threads = threads});
  check_task(library, *task);
  return task;
}

}  // namespace lockstep
