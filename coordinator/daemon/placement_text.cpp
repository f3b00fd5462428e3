#include "coordinator/daemon/placement_text.h"

#include <cstddef>

#include "coordinator/amounts.h"

namespace lockstep {
namespace {

std::string count(int number, const std::string& what) {
  return count_text(static_cast<std::size_t>(number), what);
}

std::string cores_text(const HostShare& host) {
  if (host.cores < host.host_cores)
    return "bound to " + count(host.cores, "core") + " of " + std::to_string(host.host_cores);
  return (host.ranks > 1 ? "sharing " : "") + count(host.host_cores, "core");
}

}  // namespace

std::string placement_text(int ranks, int hosts, const HostShare& host, const Placement& placement,
                           const std::string& gpu) {
  const auto device = placement.on_gpu()
                          ? "on cuda:" + std::to_string(placement.gpu) + " (" + gpu + ")"
                          : std::string("on the CPU");
  return count(ranks, "rank") + " on " + count(hosts, "host") + ", " +
         count(host.threads, "thread") + " a rank, " + cores_text(host) + "; " + device +
         ", collectives by " + (placement.nccl != nullptr ? placement.nccl->version : "MPI");
}

std::string binding_trouble(const HostShare& host) {
  if (host.threads > host.cores)
    return "computes with " + count(host.threads, "thread") + " (OMP_NUM_THREADS) on " +
           count(host.cores, "core") +
           ", all that its launcher has bound it to: mpirun --map-by slot:PE=" +
           std::to_string(host.threads) +
           " or --bind-to none, srun --cpus-per-task=" + std::to_string(host.threads);
  if (host.ranks * host.threads > host.host_cores)
    return count(host.ranks, "rank") + " of its host share " + count(host.host_cores, "core") +
           ": each waits for the others";
  return "";
}

}  // namespace lockstep
