// What lockstep does beside training in each iteration, on the file system of $TMPDIR (else /tmp):
// tick, heartbeat and watchdog, with the periods that they have by default. One JSON line a figure,
// of the rank where it is largest.
//   mpirun -n 2 build/release/tests/tick_bench [iterations]
//   mpirun -n P build/release/tests/tick_bench --only-ticks N     for messages_bench.py
//
// An iteration here: 10 ms of work that goes through the caches, the sum over ranks of loss and
// gradient norm, which training makes right before and which makes up for ranks that come late, and
// then, in turn:
//   a tick around 1 ms of work and a collective, as training has it around the optimizer's step: of
//     it the calls that start and finish it count;
//   a tick that is waited for at once: what it costs where nothing hides it;
//   the bare all-reduce of its size: what MPI can do here.
// The threads count with the CPU time that they take, as if all of it came from training.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <mpi.h>

#include "common/agree.h"
#include "common/file_system.h"
#include "tests/bench/beside.h"
#include "tests/bench/median.h"
#include "worker/mpi_collectives.h"
#include "worker/tick.h"

namespace lockstep {
namespace {

constexpr double kIterationUs = 10'000;
constexpr double kStepUs = 1'000;
constexpr double kBound = 0.005;  // of an iteration, all together
constexpr int kFirst = 20;        // iterations left out
constexpr std::size_t kWorkFloats = std::size_t{4} << 20;

using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double largest(const Comm& comm, double value) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, comm.raw()),
            "MPI_Allreduce");
  return value;
}

void work(std::vector<float>& memory, double us) {
  const auto began = Clock::now();
  constexpr std::size_t kPiece = 4096;
  for (std::size_t at = 0; us_since(began) < us; at = (at + kPiece) % memory.size())
    for (std::size_t i = 0; i < kPiece; ++i)
      memory[at + i] = memory[at + i] * 0.5F + 1;
}

struct Times {
  std::vector<double> tick;
  std::vector<double> unhidden;
  std::vector<double> bare;
  std::vector<double> calls;
  double threads_share = 0;
};

class Bench {
 public:
  Bench(const Comm& comm, FileSystem& files, const std::string& folder)
      : comm_(comm),
        bare_(Comm::duplicate(comm.raw())),
        tick_(comm),
        memory_(kWorkFloats, 1),
        others_(threads()),
        beside_(comm, files, folder, kIterationUs / 1e6) {}

  Times run(int iterations);

 private:
  void sum() const {
    std::array<double, 4> sums{};
    sum_over_ranks(comm_, sums);
  }
  void tick(std::int64_t iteration);
  void unhidden_tick();
  void bare_reduction();

  const Comm& comm_;
  Comm bare_;
  Tick tick_;
  std::vector<float> memory_;
  std::set<std::string> others_;  // MPI's threads, and this one
  Beside beside_;
  Times times_;
};

void Bench::tick(std::int64_t iteration) {
  const auto began = Clock::now();
  const auto vote = beside_.vote();
  const double voted_us = us_since(began);
  tick_.start(vote);
  const double started_us = us_since(began);
  work(memory_, kStepUs);
  sum();
  const double stepped_us = us_since(began);
  tick_.finish();
  const double finished_us = us_since(began);
  beside_.note(iteration);
  times_.calls.push_back(voted_us + us_since(began) - finished_us);
  times_.tick.push_back(started_us - voted_us + finished_us - stepped_us);
}

void Bench::unhidden_tick() {
  const auto began = Clock::now();
  tick_.start({});
  tick_.finish();
  times_.unhidden.push_back(us_since(began));
}

void Bench::bare_reduction() {
  std::array<std::int64_t, 6> words{};
  const auto began = Clock::now();
  check_mpi(
      MPI_Allreduce(MPI_IN_PLACE, words.data(), words.size(), MPI_INT64_T, MPI_MAX, bare_.raw()),
      "MPI_Allreduce");
  times_.bare.push_back(us_since(began));
}

Times Bench::run(int iterations) {
  auto began = Clock::now();
  double cpu_before_us = 0;
  for (int i = 0; i < iterations; ++i) {
    if (i == kFirst) {
      times_ = {};
      began = Clock::now();
      cpu_before_us = cpu_us(others_);
    }
    work(memory_, kIterationUs);
    sum();
    if (i % 3 == 0) tick(i);
    if (i % 3 == 1) unhidden_tick();
    if (i % 3 == 2) bare_reduction();
  }
  times_.threads_share = (cpu_us(others_) - cpu_before_us) / us_since(began);
  return times_;
}

// The largest of all ranks.
struct Figure {
  double median_us = 0;
  double mean_us = 0;
};

Figure figure(const Comm& comm, const std::vector<double>& values) {
  return {largest(comm, median(values)), largest(comm, mean(values))};
}

void print(const std::string& what, Figure figure) {
  std::printf("{\"bench\": \"%s\", \"us\": %.2f, \"mean_us\": %.2f, \"share\": %.6f}\n",
              what.c_str(), figure.median_us, figure.mean_us, figure.median_us / kIterationUs);
}

void report(const Comm& comm, const Times& times) {
  const auto tick = figure(comm, times.tick);
  const auto unhidden = figure(comm, times.unhidden);
  const auto bare = figure(comm, times.bare);
  const auto calls = figure(comm, times.calls);
  const double threads_us = largest(comm, times.threads_share) * kIterationUs;
  if (!comm.is_root()) return;
  const auto where = " behind 10 ms of work on " + std::to_string(comm.size()) + " ranks";
  print("tick around a step" + where, tick);
  print("tick that nothing hides" + where, unhidden);
  print("bare all-reduce of its size" + where, bare);
  print("votes, progress and heartbeat's iteration on the training thread", calls);
  print("threads of heartbeat and watchdog, CPU time in 10 ms", {threads_us, threads_us});
  const double share = (tick.median_us + calls.median_us + threads_us) / kIterationUs;
  std::printf(
      "{\"bench\": \"tick, heartbeat and watchdog\", \"share\": %.6f, \"bound_share\": %g, "
      "\"within\": %s}\n",
      share, kBound, share < kBound ? "true" : "false");
}

void only_ticks(const Comm& comm, int count) {
  Tick tick(comm);
  for (int i = 0; i < count; ++i) {
    tick.start({});
    tick.finish();
  }
}

int run(int argc, char** argv) {
  const auto comm = Comm::duplicate(MPI_COMM_WORLD);
  if (argc == 3 && std::string_view(argv[1]) == "--only-ticks") {
    only_ticks(comm, std::atoi(argv[2]));
    return 0;
  }
  const int iterations = argc == 2 ? std::atoi(argv[1]) : 3000;
  if (argc > 2 || iterations <= 2 * kFirst) {
    if (comm.is_root())
      std::fprintf(stderr, "usage: tick_bench [iterations, more than %d] | --only-ticks N\n",
                   2 * kFirst);
    return 2;
  }
  const auto folder = root_decides(comm, "make a folder", [] {
    const auto path = std::filesystem::temp_directory_path() / ("lockstep-tick-" + random_hex(8));
    std::filesystem::create_directory(path);
    return path.string();
  });
  const auto files = make_posix_file_system();
  report(comm, Bench(comm, *files, folder).run(iterations));
  if (comm.is_root()) std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const int code = lockstep::run(argc, argv);
  MPI_Finalize();
  return code;
}
