#pragma once

#include <string>

#include "common/comm.h"
#include "common/config.h"
#include "worker/host_share.h"
#include "worker/nccl_collectives.h"
#include "worker/task.h"

namespace lockstep {

// Where a rank trains, and how the ranks exchange what they compute.
struct Placement {
  int gpu = -1;                      // its index on the host; below 0: the CPU
  const NcclModule* nccl = nullptr;  // null: MPI

  bool on_gpu() const { return gpu >= 0; }
};

// What a rank sees of GPUs before its task is made.
struct GpuSight {
  std::string why_none = {};  // "": there are some
  int gpus = 0;
  NcclSight nccl = {};
};
// Local; loads LibTorch's part for GPUs where the configuration wants one, or would take one, and a
// driver is there. Before any other use of LibTorch.
GpuSight look_for_gpus(const Config& config);

// Local: Error(kInvalidConfig) with the cause where the configuration wants a GPU and this rank
// can't train `task` on one.
void require_gpu(const Config& config, const GpuSight& sight, const Task& task);

// What all ranks see together.
struct WorldSight {
  bool gpu_everywhere = false;  // each rank can use one, and its task too
  bool gpu_each = false;        // no two ranks must share one
  bool nccl_everywhere = false;
};
// Pure: of the rank with that share of its host. `device: auto` takes GPUs where every rank has
// one, `collectives: auto` NCCL where each has its own. Error(kInvalidConfig) on what can't be had.
Placement place(const Config& config, const WorldSight& world, const GpuSight& mine, int index);

// Collective: the same decision on all ranks. AgreedError: what the configuration wants and some
// rank can't have, with the cause there.
Placement agree_on_placement(const Comm& comm, const Config& config, const GpuSight& sight,
                             const HostShare& host, const Task& task);

}  // namespace lockstep
