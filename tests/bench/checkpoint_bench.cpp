// Saving and loading a checkpoint, beside what disk and memory do bare, in the same rounds: one
// JSON line each, and the medians at the end. On the file system of --dir.
//   mpirun -n 2 build/release/tests/checkpoint_bench --gigabytes 2 --tensors 144 --rounds 5
//   mpirun -n 4 build/release/tests/checkpoint_bench --saved-by 2        loads what 2 ranks saved
//
// The state is random. The clock runs between two barriers, so it is the slowest rank's.
//   raw_write    as many bytes a rank as its shard has, 4 MiB at a time past the page cache by four
//                threads, space reserved before, fsynced; no checksum, no commit
//   save         save_checkpoint with the coordinator's own commit: durable and acknowledged
//   raw_commit   the files' operations of a commit alone, on files of the same sizes
//   memcpy       each rank's bytes to memory that was touched before, by as many threads as `held`
//   held         a save beside training, and its copy awaited at once: for so long it is held
//   beside       the same until it is durable and acknowledged
//   raw_read     the shards' bytes, as raw_write, into memory that is used again and again
//   load         load_checkpoint: verified, put into place, parameters spread
//   load_other   the same of what another number of ranks saved (--saved-by)
// Cold: the page cache is dropped before (as root), else what is read was written past it anyway.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <mpi.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/agree.h"
#include "common/names.h"
#include "common/pages.h"
#include "common/parallel.h"
#include "coordinator/commit.h"
#include "tests/bench/bench_state.h"
#include "tests/bench/median.h"
#include "worker/checkpoint.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;
constexpr std::size_t kThreads = 4;  // that write and read
constexpr std::int64_t kOthersAttempt = 2;

struct Options {
  double gigabytes = 2;
  std::int64_t tensors = 144;
  int rounds = 5;
  std::string dir = ".";
  int saved_by = 0;  // ranks; 0: the ones that load
  std::size_t copy_threads = 1;
};

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

long peak_rss_mib() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss / 1024;
}

double over_ranks(const Comm& comm, double value, MPI_Op op) {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, op, comm.raw()), "MPI_Allreduce");
  return value;
}

Share share_of(const Comm& comm) {
  return {comm.rank(), comm.size()};
}

std::uint64_t own_bytes_of(StateView& view, Share rank) {
  std::uint64_t bytes = 0;
  for (const auto& section : view.sections)
    bytes += own_bytes(section, rank).size();
  return bytes;
}

// What the rounds gave.
class Figures {
 public:
  Figures(const Comm& comm, const Options& options, std::uint64_t bytes)
      : comm_(comm), options_(options), bytes_(bytes) {}

  // Collective: the slowest rank's time of `work`; a line for it.
  void measure(const std::string& op, int round, const std::function<void()>& work) {
    const double cpu = cpu_seconds();
    barrier(comm_);
    const auto begin = Clock::now();
    work();
    barrier(comm_);
    add(op, round, since(begin), over_ranks(comm_, cpu_seconds() - cpu, MPI_SUM));
  }

  void add(const std::string& op, int round, double seconds, double cpu_s = 0) {
    if (round > 0) seconds_[op].push_back(seconds);
    if (round == 0) first_[op] = seconds;
    if (!comm_.is_root()) return;
    std::printf(
        "{\"bench\": \"checkpoint\", \"op\": \"%s\", \"world\": %d, \"bytes\": %llu, \"tensors\": "
        "%lld, \"first\": %s, \"total_s\": %.5f, \"gb_per_s\": %.3f, \"cpu_s\": %.2f, "
        "\"peak_rss_mib\": %ld}\n",
        op.c_str(), comm_.size(), static_cast<unsigned long long>(bytes_),
        static_cast<long long>(3 * options_.tensors), round == 0 ? "true" : "false", seconds,
        static_cast<double>(bytes_) / 1e9 / seconds, cpu_s, peak_rss_mib());
    std::fflush(stdout);
  }

  // Of each round the limit's time over ours: at least the goal.
  void compare(const std::string& ours, const std::string& limit, double goal) {
    if (!comm_.is_root()) return;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < seconds_[ours].size(); ++i)
      ratios.push_back(seconds_[limit][i] / seconds_[ours][i]);
    const auto ratio = median(ratios);
    std::printf(
        "{\"bench\": \"%s against %s\", \"world\": %d, \"tensors\": %lld, \"seconds\": %.5f, "
        "\"limit_seconds\": %.5f, \"ratio\": %.3f, \"min\": %.3f, \"max\": %.3f, \"goal\": %.3g, "
        "\"within\": %s, \"first_seconds\": %.5f}\n",
        ours.c_str(), limit.c_str(), comm_.size(), static_cast<long long>(3 * options_.tensors),
        median(seconds_[ours]), median(seconds_[limit]), ratio,
        *std::min_element(ratios.begin(), ratios.end()),
        *std::max_element(ratios.begin(), ratios.end()), goal, ratio >= goal ? "true" : "false",
        first_[ours]);
  }

  void bound(const std::string& op, double bound_ms) {
    if (!comm_.is_root()) return;
    const auto ms = 1e3 * median(seconds_[op]);
    std::printf(
        "{\"bench\": \"%s\", \"world\": %d, \"ms\": %.3f, \"bound_ms\": %g, \"within\": %s}\n",
        op.c_str(), comm_.size(), ms, bound_ms, ms <= bound_ms ? "true" : "false");
  }

 private:
  const Comm& comm_;
  const Options& options_;
  const std::uint64_t bytes_;
  std::map<std::string, std::vector<double>> seconds_;
  std::map<std::string, double> first_;
};

class Bench {
 public:
  Bench(const Comm& comm, const Options& options)
      : comm_(comm),
        options_(options),
        rss_before_mib_(peak_rss_mib()),
        store_(std::filesystem::absolute(options.dir + "/checkpoint-bench").string()),
        state_(options.tensors, elements(), share_of(comm)),
        own_bytes_(own_bytes_of(state_.view(), share_of(comm))),
        pieces_(kThreads),
        figures_(comm, options, data_bytes(state_.view())) {
    arena_.prepare(own_bytes_);
    for (auto& piece : pieces_) {
      piece = Pages(kPiece);
      fill_randomly(piece.all(), 77);
    }
    if (comm.is_root()) {
      std::filesystem::remove_all(store_);
      std::filesystem::create_directories(checkpoints_path(store_));
      std::filesystem::create_directories(attempt_path(store_, kOthersAttempt));
    }
    barrier(comm);
  }
  ~Bench() {
    barrier(comm_);
    if (comm_.is_root()) std::filesystem::remove_all(store_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void run() {
    if (options_.saved_by > 0) {
      run_other_world();
    } else {
      run_same_world();
    }
  }

 private:
  std::int64_t elements() const { return static_cast<std::int64_t>(options_.gigabytes * 1e9 / 12); }

  void run_same_world() {
    for (int round = 0; round <= options_.rounds; ++round) {
      const CheckpointId id{kOthersAttempt, round};
      figures_.measure("raw_write", round, [&] { write_bare(); });
      remove_bare();
      figures_.measure("save", round, [&] { save(comm_, id, state_); });
      figures_.add("commit", round, over_ranks(comm_, commit_s_, MPI_MAX));
      figures_.measure("raw_commit", round, [&] { commit_bare(id); });
      forget_pages();
      figures_.measure("raw_read", round, [&] { read_bare(id); });
      forget_pages();
      figures_.measure("load", round, [&] { load(id); });
      remove(id);
      figures_.measure("memcpy", round, [&] { copy_bare(); });
      save_beside(id, round);
      remove(id);
    }
    figures_.compare("save", "raw_write", 0.9);
    figures_.compare("commit", "raw_commit", 0.9);
    figures_.bound("commit", 1);
    figures_.compare("beside", "raw_write", 0.9);
    figures_.compare("held", "memcpy", 1 / 1.15);
    figures_.bound("call", 1);
    figures_.compare("load", "raw_read", 0.9);
    tell_memory();
  }

  // What other ranks than those of the load saved, beside what these saved.
  void run_other_world() {
    const auto others = first_ranks(options_.saved_by);
    std::optional<BenchState> theirs;
    if (others) theirs.emplace(options_.tensors, elements(), share_of(*others));
    const CheckpointId of_others{kOthersAttempt, 1};
    const CheckpointId own{kOthersAttempt, 2};
    if (others) save(*others, of_others, *theirs);
    theirs.reset();
    save(comm_, own, state_);
    for (int round = 0; round <= options_.rounds; ++round) {
      forget_pages();
      figures_.measure("load", round, [&] { load(own); });
      forget_pages();
      figures_.measure("load_other", round, [&] { load(of_others); });
    }
    if (comm_.is_root()) std::printf("{\"saved_by\": %d}\n", options_.saved_by);
    figures_.compare("load_other", "load", 1 / 1.15);
  }

  std::optional<Comm> first_ranks(int count) const {
    MPI_Comm split = MPI_COMM_NULL;
    check_mpi(
        MPI_Comm_split(comm_.raw(), comm_.rank() < count ? 0 : MPI_UNDEFINED, comm_.rank(), &split),
        "MPI_Comm_split");
    if (split == MPI_COMM_NULL) return std::nullopt;
    auto comm = Comm::duplicate(split);
    check_mpi(MPI_Comm_free(&split), "MPI_Comm_free");
    return comm;
  }

  // Peak memory of the rank that has most of it, against its state, one arena and 64 MiB.
  void tell_memory() const {
    constexpr double kAllowedMib = 64;
    const auto mib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    const auto used = static_cast<double>(peak_rss_mib() - rss_before_mib_);
    const auto over = over_ranks(comm_, used - mib(state_.kept_bytes()) - mib(own_bytes_), MPI_MAX);
    if (!comm_.is_root()) return;
    std::printf(
        "{\"bench\": \"memory above state and arena\", \"world\": %d, \"mib\": %.1f, "
        "\"bound_mib\": %g, \"within\": %s}\n",
        comm_.size(), over, kAllowedMib, over <= kAllowedMib ? "true" : "false");
  }

  std::string bare_path() const { return store_ + "/bare-" + std::to_string(comm_.rank()); }

  void write_bare() {
    const auto file = files_->create(bare_path());
    file->reserve(own_bytes_);
    for_each_index(
        (own_bytes_ + kPiece - 1) / kPiece, kThreads, [&](std::size_t i, std::size_t thread) {
          const auto begin = i * kPiece;
          file->write_at(begin, pieces_[thread].all().first(std::min(kPiece, own_bytes_ - begin)));
        });
    file->finish();
  }

  void remove_bare() {
    files_->unlink(bare_path());
    barrier(comm_);
  }

  // Rank 0: a file as large as the manifest, made durable, and its folder renamed.
  void commit_bare(const CheckpointId& id) {
    if (!comm_.is_root()) return;
    const auto bytes = files_->info(checkpoint_path(store_, id) + "/manifest.json")->bytes;
    const auto folder = store_ + "/bare";
    files_->make_folder(folder);
    const auto file = files_->create(folder + "/manifest.json");
    const std::string text(bytes, 'x');
    file->append(std::as_bytes(std::span(text)));
    file->finish();
    files_->sync_folder(folder);
    files_->rename(folder, folder + "-renamed");
    files_->sync_folder(store_);
    std::filesystem::remove_all(folder + "-renamed");
  }

  void read_bare(const CheckpointId& id) {
    const auto file =
        files_->open(checkpoint_path(store_, id) + "/" + shard_file({comm_.rank(), comm_.size()}));
    const auto bytes = file->size() / kPiece * kPiece;
    for_each_index(bytes / kPiece, kThreads, [&](std::size_t i, std::size_t thread) {
      file->read_at(i * kPiece, pieces_[thread].all());
    });
  }

  void copy_bare() {
    auto into = arena_.take(own_bytes_);
    for (const auto& section : state_.view().sections) {
      const auto from = own_bytes(section, share_of(comm_));
      for_each_index((from.size() + kPiece - 1) / kPiece, options_.copy_threads,
                     [&](std::size_t i, std::size_t) {
                       const auto at = i * kPiece;
                       std::memcpy(&into[at], &from[at], std::min(kPiece, from.size() - at));
                     });
      into = into.subspan(from.size());
    }
  }

  static Manifest draft(const CheckpointId& id) {
    Manifest draft;
    draft.checkpoint = id;
    draft.config = "{}";
    draft.run = "bench";
    draft.created = "2026-01-01T00:00:00Z";
    return draft;
  }

  CommitSteps steps() {
    return {.begin = [&](const CheckpointId& which) { begin_commit(*files_, store_, which); },
            .commit =
                [&](const Manifest& manifest) {
                  const auto begin = Clock::now();
                  commit(*files_, store_, manifest);
                  commit_s_ = since(begin);
                },
            .abandon = [&](const CheckpointId& which) { abandon_commit(*files_, store_, which); }};
  }

  void save(const Comm& comm, const CheckpointId& id, BenchState& state) {
    save_checkpoint(comm, *files_, store_, draft(id), state.view(), steps());
  }

  void save_beside(const CheckpointId& id, int round) {
    barrier(comm_);
    const auto begin = Clock::now();
    const auto save = begin_save(comm_, *files_, store_, draft(id), state_.view(), steps(),
                                 Beside{.arena = arena_, .copy_threads = options_.copy_threads});
    const auto call = since(begin);
    save->advance();  // as the tick of the next iteration has it: the writing begins
    save->await_snapshot();
    const auto held = since(begin);
    save->finish({});
    const auto total = since(begin);
    figures_.add("call", round, over_ranks(comm_, call, MPI_MAX));
    figures_.add("held", round, over_ranks(comm_, held, MPI_MAX));
    figures_.add("beside", round, over_ranks(comm_, total, MPI_MAX));
  }

  void load(const CheckpointId& id) {
    const auto folder = checkpoint_path(store_, id);
    const auto text = root_decides(comm_, "read the manifest", [&] {
      return read_small_file(*files_, folder + "/manifest.json", kMaxManifestBytes);
    });
    const auto manifest = parse_manifest(text, id, "manifest.json");
    load_checkpoint(comm_, *files_, folder, manifest, {}, state_.view());
  }

  void remove(const CheckpointId& id) {
    barrier(comm_);
    if (comm_.is_root()) std::filesystem::remove_all(checkpoint_path(store_, id));
    barrier(comm_);
  }

  void forget_pages() {
    ::sync();
    barrier(comm_);
    if (comm_.is_root()) std::ofstream("/proc/sys/vm/drop_caches") << "1\n";
    barrier(comm_);
  }

  const Comm& comm_;
  const Options options_;
  const long rss_before_mib_;
  const std::string store_;
  BenchState state_;
  Arena arena_;
  const std::uint64_t own_bytes_;
  std::vector<Pages> pieces_;
  std::unique_ptr<FileSystem> files_ = make_posix_file_system();
  Figures figures_;
  double commit_s_ = 0;  // rank 0: the last one
};

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::Options options;
  CLI::App app("Saving and loading a checkpoint beside the bare disk and memory");
  app.add_option("--gigabytes", options.gigabytes, "10^9 bytes, all tensors");
  app.add_option("--tensors", options.tensors, "of the model");
  app.add_option("--rounds", options.rounds, "counted, behind a first one");
  app.add_option("--dir", options.dir, "a folder on the disk to measure");
  app.add_option("--saved-by", options.saved_by, "ranks that saved what is loaded");
  app.add_option("--copy-threads", options.copy_threads, "of each rank's copy");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  {
    const auto comm = lockstep::Comm::duplicate(MPI_COMM_WORLD);
    lockstep::Bench(comm, options).run();
  }
  MPI_Finalize();
  return 0;
}
