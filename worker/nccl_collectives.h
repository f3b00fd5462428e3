#pragma once

#include <memory>
#include <string>

#include "worker/collectives.h"

namespace lockstep {

// NCCL's collectives are a shared object of their own beside the program, loaded where they are
// wanted: NCCL and CUDA's runtime cost each start a sixth of a second.
struct NcclModule {
  const char* version;  // "NCCL 2.30.7"
  // Collective, as make_collectives: a communicator whose id rank 0 makes and MPI broadcasts, not
  // blocking, on a stream of its own that events put in order with LibTorch's. Where the host waits
  // it asks NCCL for errors meanwhile, and aborts the communicator on one. A rank that others wait
  // for is the watchdog's to name, which ends the process.
  std::unique_ptr<Collectives> (*make)(const Comm& comm, const Accelerator& accelerator);
};

struct NcclSight {
  const NcclModule* module = nullptr;  // for good
  std::string why_none = {};           // where that is null: for people
};
// Local: loads it. The shared object is looked for in the program's folder and in libexec/ beside
// that.
NcclSight load_nccl();

}  // namespace lockstep

// What the shared object has to show.
extern "C" [[gnu::visibility("default")]] const lockstep::NcclModule* lockstep_nccl_module();
