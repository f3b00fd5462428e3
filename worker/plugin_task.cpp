#include "worker/plugin_task.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <system_error>

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>

#include "common/error.h"
#include "common/failure.h"
#include "common/safetensors.h"
#include "worker/model_tensors.h"
#include "worker/plugin_abi.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 40;

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

// The loader maps what the headers say, and a process that touches what the file lacks gets SIGBUS.
// True of what is no ELF file: the loader refuses that by itself.
bool elf_is_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return true;
  if (!std::equal(std::begin(ELFMAG), std::begin(ELFMAG) + SELFMAG, header.e_ident)) return true;
  std::error_code unreadable;
  const std::uint64_t size = std::filesystem::file_size(path, unreadable);
  const auto holds = [size](std::uint64_t begin, std::uint64_t bytes) {
    return begin <= size && bytes <= size - begin;
  };
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    file.seekg(static_cast<std::streamoff>(header.e_phoff + i * sizeof segment));
    if (!file.read(reinterpret_cast<char*>(&segment), sizeof segment)) return false;
    if (segment.p_type == PT_LOAD && !holds(segment.p_offset, segment.p_filesz)) return false;
  }
  return true;
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
    if (!elf_is_whole(path))
      fail(
          ErrorCode::kInvalidConfig,
          "is shorter than its own headers say: a copy or a build that was cut off; build it anew");
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
  if (its.standard_library == nullptr || its.libtorch == nullptr)
    library.fail(ErrorCode::kMismatch, "does not say what it was built with; build it anew");
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
    library.fail(failure_code(std::current_exception()), e.what());
  } catch (...) {
    library.fail(ErrorCode::kInvalidConfig,
                 "lockstep_make_task failed: " + failure_text(std::current_exception()) +
                     "; let it throw a lockstep::Error that says why");
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
  const auto elements = elements_of(shape);
  return elements && *elements > 0 && *elements <= kMostElements;
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
    if (!is_shape(shape))
      fail("the tensor " + name + " with a shape of no, or too many, elements or dimensions");
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
  if (!is_plain_text(task.data_digest()))
    fail("a data_digest() that is empty, above 1024 bytes, or no plain text");
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
