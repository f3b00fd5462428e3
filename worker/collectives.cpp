#include "worker/collectives.h"

#include "worker/mpi_collectives.h"
#include "worker/nccl_collectives.h"

namespace lockstep {

std::unique_ptr<Collectives> make_collectives(const Comm& comm, const CollectivesNeed& need) {
  if (!need.accelerator) return make_mpi_collectives(comm, need.sums);
  if (need.nccl) return need.nccl->make(comm, *need.accelerator);
  return make_staged_collectives(comm, *need.accelerator, need.sums);
}

}  // namespace lockstep
