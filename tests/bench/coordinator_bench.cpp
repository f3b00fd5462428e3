// What the coordinator costs a training: the same iterations with tick, watchdog, heartbeat,
// metrics and the status server, as lockstepd makes them, and with all of that switched off, in
// turns. Under mpirun, on a
// machine that does nothing else; a JSON line.
//   mpirun -n 2 build/release/tests/coordinator_bench [--task fashion_mnist|language_model]
//
// A turn is kTurn iterations of one kind, behind one that is not counted; who begins changes. Off:
// the tick is one among this rank alone, which is none, and no thread is beside training.
//   on_seconds, off_seconds  medians of an iteration, the slowest rank's
//   share        on_seconds / off_seconds - 1; low and high: quartiles of it over pairs of turns
//   cpu_share    CPU time of the threads beside training, per wall time, the largest of a rank:
//   what
//                the cost is at most where no core is free
//   within       share < 0.005

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/agree.h"
#include "common/heap.h"
#include "coordinator/metrics_log.h"
#include "coordinator/status/service.h"
#include "coordinator/watchdog/background.h"
#include "tests/bench/beside.h"
#include "tests/bench/figures.h"
#include "worker/fashion_mnist.h"
#include "worker/language_model.h"
#include "worker/tick.h"
#include "worker/training_iteration.h"

namespace lockstep {
namespace {

constexpr double kBound = 0.005;
constexpr int kTurn = 20;      // iterations
constexpr int kInterval = 10;  // of metrics, as by default

struct Options {
  std::string task = "fashion_mnist";
  std::int64_t batch = 64;
  int turns = 60;
};

std::unique_ptr<Task> task_of(const Options& options) {
  if (options.task == "fashion_mnist") return make_fashion_mnist({}, 1);
  TaskConfig sizes;
  sizes.layers = 4;
  sizes.width = 128;
  sizes.context = 128;
  return make_language_model(sizes, "/usr/share/common-licenses", 1);
}

// One kind of iteration: its tick, and what is beside it while its turn lasts.
struct Kind {
  Kind(const Comm& world, const Comm& ticking, const Training& training)
      : tick(ticking), parts(world, tick, training, {}) {}

  Tick tick;
  IterationParts parts;
  std::vector<double> seconds;  // of each iteration
};

class Bench {
 public:
  Bench(const Comm& comm, const Options& options, FileSystem& files, std::string folder)
      : comm_(comm), options_(options), files_(files), folder_(std::move(folder)) {
    config_.data.global_batch = options.batch;
  }
  void run();

 private:
  // Median seconds of the turn's iterations on the slowest rank. Collective.
  double turn(Kind& kind, bool with_coordinator);

  const Comm& comm_;
  const Options& options_;
  FileSystem& files_;
  const std::string folder_;
  Config config_;
  const std::unique_ptr<Task> task_ = task_of(options_);
  TrainingState state_{*task_, config_.optimizer, 1, {comm_.rank(), comm_.size()}};
  const Log log_{{.json = false, .level = "error"}, false};
  ProgressBoard board_;
  const Training training_{config_, *task_, state_, log_, board_};
  double iteration_s_ = 0.1;
  double cpu_us_ = 0;  // of the threads beside training
  double on_us_ = 0;   // wall time with them
};

double Bench::turn(Kind& kind, bool with_coordinator) {
  const auto others = threads();
  std::optional<Beside> beside;
  std::optional<MetricsLog> metrics;
  std::optional<JobBoard> figures;
  std::optional<StatusService> status;
  if (with_coordinator) {
    beside.emplace(comm_, files_, folder_, iteration_s_);
    if (comm_.is_root()) {
      metrics.emplace(files_, log_, MetricsOrigin{.run = "bench", .attempt = 1}, folder_,
                      std::nullopt, RunsOn::kOwnThread);
      figures.emplace(board_);
      status.emplace(make_posix_file_system(), StatusSetup{.store = folder_,
                                                           .listen = ListenAddress{},
                                                           .textfile = folder_ + "/bench.prom",
                                                           .job = &*figures,
                                                           .warn = {}});
    }
  }
  std::vector<double> seconds;
  const IterationHooks hooks{.vote = [&] { return beside ? beside->vote() : TickVote{}; },
                             .before_step = [] {}};
  const auto began = Clock::now();
  for (int i = 0; i <= kTurn; ++i) {
    barrier(comm_);
    const auto iteration_began = Clock::now();
    const auto outcome = run_iteration(kind.parts, training_, {}, hooks);
    if (outcome.failure) std::rethrow_exception(outcome.failure);
    if (beside) beside->note(i);
    if (figures) figures->iteration(Pace{.iteration = i}, monotonic_s());
    if (metrics && i > 0 && i % kInterval == 0) {
      const Interval interval{.iteration = i, .iterations = kInterval, .spent = outcome.spent};
      metrics->add(interval);
      figures->interval(interval);
    }
    if (i > 0) seconds.push_back(over_ranks(comm_, since(iteration_began), MPI_MAX));
  }
  if (with_coordinator) {
    cpu_us_ += cpu_us(others);
    on_us_ += since(began) * 1e6;
  }
  kind.seconds.insert(kind.seconds.end(), seconds.begin(), seconds.end());
  return median(seconds);
}

void Bench::run() {
  const auto alone = Comm::duplicate(MPI_COMM_SELF);
  Kind on(comm_, comm_, training_);
  Kind off(comm_, alone, training_);
  iteration_s_ = turn(off, false);
  turn(on, true);
  on.seconds.clear();
  off.seconds.clear();
  cpu_us_ = on_us_ = 0;

  std::vector<double> shares;
  for (int i = 0; i < options_.turns; ++i) {
    double with = 0;
    double without = 0;
    if (i % 2 == 0) without = turn(off, false);
    with = turn(on, true);
    if (i % 2 != 0) without = turn(off, false);
    shares.push_back(with / without - 1);
  }
  const double cpu_share = over_ranks(comm_, cpu_us_ / on_us_, MPI_MAX);
  if (!comm_.is_root()) return;
  std::ranges::sort(shares);
  const double share = median(on.seconds) / median(off.seconds) - 1;
  std::printf(
      "{\"bench\": \"coordinator\", \"task\": \"%s\", \"world\": %d, \"on_seconds\": %.6f, "
      "\"off_seconds\": %.6f, \"share\": %.5f, \"low\": %.5f, \"high\": %.5f, \"cpu_share\": %.5f, "
      "\"bound\": %g, \"within\": %s}\n",
      options_.task.c_str(), comm_.size(), median(on.seconds), median(off.seconds), share,
      shares[shares.size() / 4], shares[shares.size() * 3 / 4], cpu_share, kBound,
      json_bool(share < kBound));
}

void run(const Comm& comm, const Options& options) {
  const auto folder = root_decides(comm, "make a folder", [] {
    const auto path = std::filesystem::temp_directory_path() / ("lockstep-cost-" + random_hex(8));
    std::filesystem::create_directory(path);
    return path.string();
  });
  const auto files = make_posix_file_system();
  Bench(comm, options, *files, folder).run();
  if (comm.is_root()) std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::share_heap_arenas();
  lockstep::Options options;
  CLI::App app("What the coordinator costs a training");
  app.add_option("--task", options.task, "fashion_mnist or language_model")
      ->check(CLI::IsMember({"fashion_mnist", "language_model"}));
  app.add_option("--batch", options.batch, "samples of all ranks");
  app.add_option("--turns", options.turns, "pairs of them");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  lockstep::run(lockstep::Comm::duplicate(MPI_COMM_WORLD), options);
  MPI_Finalize();
  return 0;
}
