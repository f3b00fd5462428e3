// The load of a checkpoint that another number of ranks saved, beside that of one which the loading
// ranks saved themselves, in turns.
//   mpirun -n 4 --oversubscribe build/release/tests/reshard_bench --gigabytes 2 --rounds 5
//
// Each pair of --pairs, "2:4" for what 2 ranks saved and 4 load; as many ranks as its larger number
// needs. Those that have no part in a load sleep meanwhile. A JSON line for each load, and for each
// pair the ratio of both: time of the own over time of the others', of each round.

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <mpi.h>
#include <unistd.h>

#include "tests/bench/bench_options.h"
#include "tests/bench/bench_store.h"

namespace lockstep {
namespace {

struct Options : BenchOptions {
  std::vector<std::string> pairs = {"2:4", "4:2", "4:1", "2:3", "4:3"};
};

constexpr double kGoal = 1 / 1.15;

// Collective over `comm`: its first ranks.
std::optional<Comm> first_ranks(const Comm& comm, int count) {
  MPI_Comm split = MPI_COMM_NULL;
  check_mpi(
      MPI_Comm_split(comm.raw(), comm.rank() < count ? 0 : MPI_UNDEFINED, comm.rank(), &split),
      "MPI_Comm_split");
  if (split == MPI_COMM_NULL) return std::nullopt;
  auto first = Comm::duplicate(split);
  check_mpi(MPI_Comm_free(&split), "MPI_Comm_free");
  return first;
}

// A barrier that takes no core from those that still work.
void sleep_until_all(const Comm& comm) {
  constexpr useconds_t kLook = 5000;
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(comm.raw(), &request), "MPI_Ibarrier");
  for (int done = 0; done == 0;) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) ::usleep(kLook);
  }
}

void run_pair(const Comm& world, const Options& options, int savers, int loaders) {
  if (std::max(savers, loaders) > world.size()) {
    if (world.is_root())
      std::fprintf(stderr, "%d:%d is left out: it needs more ranks\n", savers, loaders);
    return;
  }
  const CheckpointId of_others{BenchStore::kAttempt, 1};
  const CheckpointId own{BenchStore::kAttempt, 2};
  BenchStore store(world, options.dir);
  if (const auto comm = first_ranks(world, savers))
    store.save(*comm, of_others, {options.tensors, options.gigabytes, share_of(*comm)});
  sleep_until_all(world);
  if (const auto comm = first_ranks(world, loaders)) {
    const BenchState state(options.tensors, options.gigabytes, share_of(*comm));
    store.save(*comm, own, state);
    Figures figures(*comm, 3 * options.tensors, data_bytes(state.view()));
    const auto name = "load of " + std::to_string(savers) + " ranks' by " + std::to_string(loaders);
    for (int round = 0; round <= options.rounds; ++round) {
      BenchStore::forget_pages(*comm);
      figures.measure("load", round, [&] { store.load(*comm, own, state); });
      BenchStore::forget_pages(*comm);
      figures.measure(name, round, [&] { store.load(*comm, of_others, state); });
    }
    figures.compare(name, "load", kGoal);
  }
  sleep_until_all(world);
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::Options options;
  CLI::App app("Loads of what other numbers of ranks saved");
  lockstep::add_options(app, options);
  app.add_option("--pairs", options.pairs, "SAVERS:LOADERS ...");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  {
    const auto world = lockstep::Comm::duplicate(MPI_COMM_WORLD);
    for (const auto& pair : options.pairs) {
      int savers = 0;
      int loaders = 0;
      if (std::sscanf(pair.c_str(), "%d:%d", &savers, &loaders) == 2 && savers > 0 && loaders > 0)
        lockstep::run_pair(world, options, savers, loaders);
    }
  }
  MPI_Finalize();
  return 0;
}
