#include <filesystem>
#include <system_error>

#include <dlfcn.h>

#include "worker/nccl_collectives.h"

namespace lockstep {

NcclSight load_nccl() {
  const auto folder = std::filesystem::path("/proc/self/exe");
  std::error_code unreadable;
  const auto own = std::filesystem::read_symlink(folder, unreadable).parent_path();
  for (const auto& path : {own / "liblockstep_nccl.so", own / "../libexec/liblockstep_nccl.so"}) {
    if (!std::filesystem::exists(path, unreadable)) continue;
    void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) return {nullptr, ::dlerror()};  // NOLINT(concurrency-mt-unsafe)
    auto* const module = reinterpret_cast<decltype(&lockstep_nccl_module)>(  // NOLINT
        ::dlsym(handle, "lockstep_nccl_module"));
    if (module == nullptr) return {nullptr, path.string() + " is of another lockstep"};
    return {module(), ""};
  }
  return {nullptr,
          "this lockstepd was built without it; build it where deploy/bootstrap.sh put "
          "NCCL's headers"};
}

}  // namespace lockstep
