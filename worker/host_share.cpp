#include "worker/host_share.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include <sched.h>

namespace lockstep {
namespace {

// OMP_NUM_THREADS: a positive number, or a list of which the first counts.
int threads_from_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");  // NOLINT(concurrency-mt-unsafe)
  if (text == nullptr) return 0;
  const std::string_view view(text);
  int threads = 0;
  std::from_chars(view.data(), view.data() + view.size(), threads);
  return threads;
}

}  // namespace

HostShare host_share(const Comm& comm) {
  MPI_Comm host = MPI_COMM_NULL;
  check_mpi(
      MPI_Comm_split_type(comm.raw(), MPI_COMM_TYPE_SHARED, comm.rank(), MPI_INFO_NULL, &host),
      "MPI_Comm_split_type");
  int ranks = 1;
  int rank = 0;
  check_mpi(MPI_Comm_size(host, &ranks), "MPI_Comm_size");
  check_mpi(MPI_Comm_rank(host, &rank), "MPI_Comm_rank");
  // Launchers bind ranks to cores of their own or let them share: the union of the masks is what
  // these ranks have together, and no rank computes with more threads than its own mask holds.
  cpu_set_t mine;
  CPU_ZERO(&mine);
  sched_getaffinity(0, sizeof mine, &mine);
  cpu_set_t together = mine;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &together, sizeof together, MPI_BYTE, MPI_BOR, host),
            "MPI_Allreduce");
  check_mpi(MPI_Comm_free(&host), "MPI_Comm_free");

  HostShare share{.ranks = ranks,
                  .index = rank,
                  .cores = CPU_COUNT(&mine),
                  .host_cores = CPU_COUNT(&together),
                  .threads = threads_from_environment()};
  if (share.threads < 1)
    share.threads = std::max(1, std::min(share.host_cores / ranks, share.cores));
  return share;
}

}  // namespace lockstep
