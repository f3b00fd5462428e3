// What a decision costs, on the file system of $TMPDIR (else /tmp): one JSON line a figure,
// medians.
//   mpirun -n 2 build/release/tests/decision_bench
// Beside them, in the same rounds, what they can't get below here: the same number of fsyncs alone,
// the bare messages of the same sizes behind the same wait (a rank that waited for milliseconds
// finds its caches cold), the bare listing of the same folder.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <vector>

#include <dirent.h>
#include <mpi.h>

#include "common/agree.h"
#include "common/digest.h"
#include "coordinator/launch.h"
#include "tests/bench/median.h"
#include "tests/support/store_builder.h"
#include "tests/support/store_on_disk.h"

namespace lockstep::testing {
namespace {

constexpr int kRounds = 21;

double milliseconds(const std::function<void()>& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

void print(const std::string& what, double value, double bound) {
  std::printf("{\"bench\": \"%s\", \"ms\": %.4f, \"bound_ms\": %g}\n", what.c_str(), value, bound);
}

void list_bare(const std::string& folder) {
  DIR* dir = opendir(folder.c_str());
  while (readdir(dir) != nullptr)
    continue;
  closedir(dir);
}

void bench_names_only_scan() {
  StoreOnDisk disk("bench");
  disk.attempt("a");
  for (int i = 1; i <= 10'000; ++i)
    std::filesystem::create_directory(checkpoint_path(disk.path(), {1, i}));
  std::vector<double> times;
  std::vector<double> listing;
  for (int i = 0; i < kRounds; ++i) {
    times.push_back(milliseconds([&] { scan_store(disk.files(), disk.path()); }));
    listing.push_back(milliseconds([&] { list_bare(disk.path() + "/checkpoints"); }));
  }
  print("scan of 10000 checkpoints by name", median(times), 5);
  print("bare listing of them", median(listing), 0);
}

// 100 attempts, each from the last checkpoint of the one before, 10 checkpoints each.
void fill(StoreOnDisk& disk) {
  std::optional<CheckpointId> parent;
  for (int a = 1; a <= 100; ++a) {
    const auto attempt = disk.attempt("run", parent);
    const auto last = a * 100 + 10;
    write_durably(disk.files(), attempt_path(disk.path(), attempt) + "/heartbeat",
                  encode(Heartbeat{7, last, last}));
    for (int i = 1; i <= 10; ++i) {
      parent = CheckpointId{attempt, a * 100 + i};
      disk.checkpoint(*parent);
    }
  }
}

struct Times {
  std::vector<double> whole;
  std::vector<double> trial;       // steps 1 and 2
  std::vector<double> claim;       // step 3
  std::vector<double> counts;      // step 4
  std::vector<double> ranks;       // step 5: broadcast and comparison
  std::vector<double> alone;       // the same on a communicator of one rank
  std::vector<double> bare;        // MPI's calls alone behind a decision
  std::vector<double> ranks_warm;  // both again, with nothing before that empties the caches
  std::vector<double> alone_warm;
  std::vector<double> fsyncs;
};

std::string decide_once(StoreOnDisk& disk, const LaunchFacts& launch, std::int64_t& attempt,
                        Times& times) {
  Decided trial;
  times.trial.push_back(milliseconds([&] {
    trial = look_and_try(disk.files(), launch, steady_clock(), {}, [](const std::string&) {});
  }));
  attempt = trial.store.highest_attempt() + 1;
  times.claim.push_back(milliseconds([&] {
    claim_next(disk.files(), launch, trial.store, attempt, StoreOnDisk::claim_of("another"));
  }));
  Decided decided;
  times.counts.push_back(milliseconds([&] {
    decided = decide_claimed(disk.files(), launch, attempt, steady_clock(), trial.store);
  }));
  return encode_decision(decided.ruling.record);
}

// The fsyncs of a claim and a decision: four files or folders for each record, and attempts/.
void fsyncs_alone(StoreOnDisk& disk) {
  const auto folder = disk.path() + "/attempts";
  disk.files().sync_folder(folder);
  for (int i = 0; i < 2; ++i)
    write_durably(disk.files(), disk.path() + "/floor", std::string(2000, 'x'));
}

// Step 5: what rank 0 has decided reaches all, and all answer for what they have.
void share(const Comm& comm, const std::function<std::string()>& decide) {
  static const Hash128 kConfig = hash128(canonical_json(Config{}));
  const auto bytes = root_decides(comm, "choose restore", decide);
  require_same(comm, {{"decision", hash128(bytes)},
                      {"configuration", kConfig},
                      {"build", {1, 1}},
                      {"model", {2, 2}},
                      {"data", {3, 3}}});
}

// The calls of MPI that `share` makes, and nothing else.
void share_bare(const Comm& comm, const std::function<std::string()>& decide) {
  std::array<char, 2048> header{};
  if (comm.is_root()) decide().copy(header.data(), header.size());
  check_mpi(MPI_Bcast(header.data(), header.size(), MPI_BYTE, 0, comm.raw()), "MPI_Bcast");
  std::array<std::uint64_t, 20> hashes{};
  check_mpi(
      MPI_Allreduce(MPI_IN_PLACE, hashes.data(), hashes.size(), MPI_UINT64_T, MPI_MAX, comm.raw()),
      "MPI_Allreduce");
}

using Sharing = void (*)(const Comm&, const std::function<std::string()>&);

// A decision on `comm`, from `disk`, which rank 0 has: the whole, and of it what sharing takes.
struct Measured {
  double whole_ms = 0;
  double sharing_ms = 0;
};

Measured decide_and_share(const Comm& comm, StoreOnDisk* disk, Times& times,
                          Sharing share_by = share) {
  double root_ms = 0;
  std::int64_t attempt = 0;
  const auto whole_ms = milliseconds([&] {
    share_by(comm, [&] {
      auto launch = launch_of(latest(), "another");
      launch.store_path = disk->path();
      std::string record;
      root_ms = milliseconds([&] { record = decide_once(*disk, launch, attempt, times); });
      return record;
    });
  });
  if (disk != nullptr)
    write_outcome(disk->files(), disk->path(), attempt, {OutcomeKind::kRefused, 2, {}, {}, {}});
  return {whole_ms, whole_ms - root_ms};
}

// Sharing alone, over and over: what the messages cost.
double share_warm(const Comm& comm) {
  constexpr int kTimes = 100;
  const std::string record(1500, 'x');
  const auto ms = milliseconds([&] {
    for (int i = 0; i < kTimes; ++i)
      share(comm, [&] { return record; });
  });
  return ms / kTimes;
}

void bench_decision(const Comm& comm, StoreOnDisk* disk) {
  Times times;
  Times of_one;
  Times of_bare;
  const auto alone = Comm::duplicate(MPI_COMM_SELF);
  for (int i = 0; i < kRounds; ++i) {
    check_mpi(MPI_Barrier(comm.raw()), "MPI_Barrier");
    const auto measured = decide_and_share(comm, disk, times);
    times.whole.push_back(measured.whole_ms);
    times.ranks.push_back(measured.sharing_ms);
    times.ranks_warm.push_back(share_warm(comm));
    check_mpi(MPI_Barrier(comm.raw()), "MPI_Barrier");
    times.bare.push_back(decide_and_share(comm, disk, of_bare, share_bare).sharing_ms);
    if (disk == nullptr) continue;
    times.alone.push_back(decide_and_share(alone, disk, of_one).sharing_ms);
    times.alone_warm.push_back(share_warm(alone));
    times.fsyncs.push_back(milliseconds([&] { fsyncs_alone(*disk); }));
  }
  if (disk == nullptr) return;
  const auto ranks = " on " + std::to_string(comm.size()) + " ranks";
  print("decision at 1000 checkpoints and 100 attempts" + ranks, median(times.whole), 6);
  print("of it: the look and the trial", median(times.trial), 0);
  print("of it: the claim", median(times.claim), 0);
  print("of it: the decision that counts", median(times.counts), 0);
  print("its fsyncs alone", median(times.fsyncs), 0);
  print("sharing it" + ranks, median(times.ranks), 0);
  print("what that grows by" + ranks, median(times.ranks) - median(times.alone), 0.010);
  print("bare messages of the same sizes behind a decision" + ranks, median(times.bare), 0);
  print("what it grows by in warm caches" + ranks,
        median(times.ranks_warm) - median(times.alone_warm), 0.010);
}

}  // namespace

int run() {
  const auto comm = Comm::duplicate(MPI_COMM_WORLD);
  std::optional<StoreOnDisk> disk;
  if (comm.is_root()) {
    disk.emplace("bench");
    fill(*disk);
  }
  bench_decision(comm, disk ? &*disk : nullptr);
  // Last: for seconds after thousands of folders were removed, ext4 is slow to make a file.
  if (comm.is_root()) bench_names_only_scan();
  return 0;
}

}  // namespace lockstep::testing

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const int code = lockstep::testing::run();
  MPI_Finalize();
  return code;
}
