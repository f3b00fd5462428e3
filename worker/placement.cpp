#include "worker/placement.h"

#include <algorithm>
#include <array>

#include <unistd.h>

#include "common/agree.h"
#include "common/error.h"
#include "worker/accelerator.h"
#include "worker/mpi_collectives.h"

namespace lockstep {
namespace {

// Collective. By the GPUs' identities: a launcher may show each rank only its own, as the first
// one.
bool each_has_its_own(const Comm& comm, const GpuSight& sight, const HostShare& host) {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  const auto mine = gpu_id(host.index % sight.gpus) + "@" + name.data();
  auto all = gather_texts(comm, mine);
  const auto said = root_decides(comm, "choose a device", [&] {
    std::ranges::sort(all);
    return std::string(std::ranges::adjacent_find(all) == all.end() ? "each" : "shared");
  });
  return said == "each";
}

}  // namespace

GpuSight look_for_gpus(const Config& config) {
  if (config.device == "cpu") return {.why_none = "device: cpu"};
  if (is_cpu_only(config.task.name))
    return {.why_none = "task " + config.task.name + " computes on the CPU"};
  GpuSight sight{.why_none = load_gpu_support()};
  if (!sight.why_none.empty()) return sight;
  sight.gpus = visible_gpus();
  if (config.collectives != "mpi") sight.nccl = load_nccl();
  return sight;
}

void require_gpu(const Config& config, const GpuSight& sight, const Task& task) {
  if (config.device == "auto" && !sight.why_none.empty()) return;  // the CPU it is
  std::string why = sight.why_none;
  if (why.empty() && !task.runs_on_gpu()) why = "the task does not run on GPUs (Task::runs_on_gpu)";
  if (config.device == "cuda" && !why.empty())
    throw Error(ErrorCode::kInvalidConfig, "device: cuda: " + why + "; write device: auto or cpu");
  if (config.collectives == "nccl" && sight.nccl.module == nullptr)
    throw Error(ErrorCode::kInvalidConfig,
                "collectives: nccl: " + sight.nccl.why_none + "; or write auto or mpi");
}

Placement place(const Config& config, const WorldSight& world, const GpuSight& mine, int index) {
  const auto refuse = [](const std::string& what) {
    throw Error(ErrorCode::kInvalidConfig, "collectives: nccl: " + what);
  };
  const bool wants_nccl = config.collectives == "nccl";
  if (config.device == "cpu" || !world.gpu_everywhere) {
    if (wants_nccl) refuse("training is on the CPU, where NCCL can do nothing; write auto or mpi");
    return {};
  }
  if (wants_nccl && !world.gpu_each)
    refuse(
        "ranks of a host share a GPU, which NCCL does not allow; start no more ranks than "
        "GPUs, or write auto or mpi");
  const bool takes_nccl = config.collectives != "mpi" && world.nccl_everywhere && world.gpu_each;
  return {.gpu = index % mine.gpus, .nccl = takes_nccl ? mine.nccl.module : nullptr};
}

Placement agree_on_placement(const Comm& comm, const Config& config, const GpuSight& sight,
                             const HostShare& host, const Task& task) {
  agree(comm, "choose a device", [&] { require_gpu(config, sight, task); });
  const bool usable = sight.gpus > 0 && task.runs_on_gpu();
  const auto one_if = [](bool yes) { return yes ? 1.0 : 0.0; };
  std::array ranks = {one_if(usable), one_if(sight.nccl.module != nullptr)};
  sum_over_ranks(comm, ranks);
  const auto all = static_cast<double>(comm.size());
  const WorldSight world{.gpu_everywhere = ranks[0] == all,
                         .gpu_each = ranks[0] == all && each_has_its_own(comm, sight, host),
                         .nccl_everywhere = ranks[1] == all};
  return agree(comm, "choose a device", [&] { return place(config, world, sight, host.index); });
}

}  // namespace lockstep
