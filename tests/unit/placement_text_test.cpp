#include "coordinator/daemon/placement_text.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr HostShare host(int ranks, int cores, int host_cores, int threads) {
  return {.ranks = ranks, .index = 0, .cores = cores, .host_cores = host_cores, .threads = threads};
}

constexpr NcclModule kNccl{.version = "NCCL 2.30.7", .make = nullptr};

TEST(PlacementText, TellsOfRanksCoresAndDevice) {
  EXPECT_EQ(placement_text(2, 1, host(2, 1, 2, 1), {}, ""),
            "2 ranks on 1 host, 1 thread a rank, bound to 1 core of 2; on the CPU, collectives by "
            "MPI");
  EXPECT_EQ(placement_text(8, 4, host(2, 16, 16, 8), {}, ""),
            "8 ranks on 4 hosts, 8 threads a rank, sharing 16 cores; on the CPU, collectives by "
            "MPI");
  EXPECT_EQ(placement_text(1, 1, host(1, 16, 16, 16), {.gpu = 0, .nccl = &kNccl}, "NVIDIA H200"),
            "1 rank on 1 host, 16 threads a rank, 16 cores; on cuda:0 (NVIDIA H200), collectives "
            "by NCCL 2.30.7");
}

TEST(PlacementText, NamesRanksThatGetInEachOthersWay) {
  EXPECT_EQ(binding_trouble(host(2, 1, 2, 1)), "");
  EXPECT_EQ(binding_trouble(host(2, 2, 2, 1)), "");
  EXPECT_EQ(binding_trouble(host(1, 16, 16, 16)), "");
  EXPECT_EQ(binding_trouble(host(2, 1, 2, 4)),
            "computes with 4 threads (OMP_NUM_THREADS) on 1 core, all that its launcher has bound "
            "it to: mpirun --map-by slot:PE=4 or --bind-to none, srun --cpus-per-task=4");
  EXPECT_EQ(binding_trouble(host(3, 2, 2, 1)),
            "3 ranks of its host share 2 cores: each waits for the others");
}

}  // namespace
}  // namespace lockstep
