// Saving and loading a checkpoint, beside what the disk does bare, in the same rounds: one JSON
// line each, and the medians at the end. On the file system of --dir.
//   mpirun -n 2 build/release/tests/checkpoint_bench --gigabytes 2 --tensors 144 --rounds 5
//
// State: parameters, which every rank has whole, and Adam's two moments, of which each has its
// part; fp32, random. The clock runs between two barriers, so it is the slowest rank's.
//   raw_write    as many bytes a rank as its shard has, 4 MiB at a time past the page cache by four
//                threads, space reserved before, fsynced; no checksum, no commit
//   save         save_checkpoint with the coordinator's own commit: durable and acknowledged
//   raw_read     the shards' bytes, as raw_write, into memory that is used again and again
//   load         load_checkpoint: staged, verified, installed, parameters spread
// Cold: the page cache is dropped before (as root), else what is read was written past it anyway.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
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
#include "tests/bench/median.h"
#include "worker/checkpoint.h"

namespace lockstep {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;
constexpr std::int64_t kColumns = 64;

struct Options {
  double gigabytes = 2;
  std::int64_t tensors = 144;
  int rounds = 5;
  std::string dir = ".";
};

double seconds_of(const Comm& comm, const std::function<void()>& work) {
  barrier(comm);
  const auto begin = std::chrono::steady_clock::now();
  work();
  barrier(comm);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Incompressible, and every float finite: 23 random bits of 32.
void fill_randomly(std::span<std::byte> bytes, std::uint64_t seed) {
  auto* const words = reinterpret_cast<std::uint32_t*>(bytes.data());
  for (std::size_t i = 0; i < bytes.size() / sizeof *words; ++i) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    words[i] = 0x3f00'0000U | static_cast<std::uint32_t>(seed >> 41U);
  }
}

// A trainer's memory.
class State {
 public:
  State(std::int64_t tensors, std::int64_t elements, Share rank) {
    const auto rows = std::max<std::int64_t>(1, elements / tensors / kColumns);
    const auto total = rows * kColumns * tensors;
    for (const auto* kind : {"", ".exp_avg", ".exp_avg_sq"}) {
      const bool parameters = *kind == '\0';
      StateSection section{.elements = total, .replicated = parameters};
      for (std::int64_t i = 0; i < tensors; ++i)
        section.tensors.push_back(
            {(parameters ? "model.w" : "optimizer.w") + std::to_string(i) + kind,
             Dtype::kF32,
             {rows, kColumns}});
      const auto kept = parameters ? total : part_of(total, rank).count;
      memory_.emplace_back(static_cast<std::size_t>(kept) * sizeof(float));
      // What is replicated is equal on all ranks.
      fill_randomly(memory_.back().all(),
                    parameters ? 1 : 2 + static_cast<std::uint64_t>(rank.index));
      section.data = memory_.back().all().data();
      view_.sections.push_back(std::move(section));
      bytes_ += static_cast<std::uint64_t>(total) * sizeof(float);
    }
  }
  StateView& view() { return view_; }
  std::uint64_t bytes() const { return bytes_; }  // of the checkpoint

 private:
  std::vector<Pages> memory_;
  StateView view_;
  std::uint64_t bytes_ = 0;
};

class Bench {
 public:
  Bench(const Comm& comm, const Options& options)
      : comm_(comm),
        options_(options),
        store_(std::filesystem::absolute(options.dir + "/checkpoint-bench").string()),
        state_(options.tensors, static_cast<std::int64_t>(options.gigabytes * 1e9 / 12),
               {comm.rank(), comm.size()}),
        own_bytes_(own_bytes()),
        pieces_(kThreads) {
    for (auto& piece : pieces_) {
      piece = Pages(kPiece);
      fill_randomly(piece.all(), 77);
    }
    if (comm.is_root()) {
      std::filesystem::remove_all(store_);
      std::filesystem::create_directories(checkpoints_path(store_));
      std::filesystem::create_directories(attempt_path(store_, 1));
    }
    barrier(comm);
  }
  ~Bench() {
    if (comm_.is_root()) std::filesystem::remove_all(store_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void run() {
    for (int round = 0; round <= options_.rounds; ++round) {
      const CheckpointId id{1, round};
      measure("raw_write", round, [&] { write_bare(); });
      remove_bare();
      measure("save", round, [&] { save(id); });
      forget_pages();
      measure("raw_read", round, [&] { read_bare(id); });
      forget_pages();
      measure("load", round, [&] { load(id); });
      if (comm_.is_root()) std::filesystem::remove_all(checkpoint_path(store_, id));
      barrier(comm_);
    }
    if (!comm_.is_root()) return;
    compare("save", "raw_write", 0.9);
    compare("load", "raw_read", 0.9);
    std::printf(
        "{\"bench\": \"commit behind the last byte\", \"world\": %d, \"ms\": %.3f, \"bound_ms\": "
        "1}\n",
        comm_.size(), 1e3 * median(commits_));
  }

 private:
  static constexpr std::size_t kThreads = 4;

  std::uint64_t own_bytes() {
    std::uint64_t bytes = 0;
    for (const auto& section : state_.view().sections)
      bytes += lockstep::own_bytes(section, {comm_.rank(), comm_.size()}).size();
    return bytes;
  }

  void measure(const char* op, int round, const std::function<void()>& work) {
    rusage before{};
    rusage after{};
    ::getrusage(RUSAGE_SELF, &before);
    const auto seconds = seconds_of(comm_, work);
    ::getrusage(RUSAGE_SELF, &after);
    const auto cpu = [](const rusage& used) {
      return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
             1e-6 * static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    };
    double cpu_s = cpu(after) - cpu(before);
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, &cpu_s, 1, MPI_DOUBLE, MPI_SUM, comm_.raw()),
              "MPI_Allreduce");
    if (round > 0) seconds_[op].push_back(seconds);
    if (!comm_.is_root()) return;
    std::printf(
        "{\"bench\": \"checkpoint\", \"op\": \"%s\", \"world\": %d, \"bytes\": %llu, \"tensors\": "
        "%lld, \"first\": %s, \"total_s\": %.4f, \"gb_per_s\": %.3f, \"cpu_s\": %.2f, "
        "\"peak_rss_mib\": %ld}\n",
        op, comm_.size(), static_cast<unsigned long long>(state_.bytes()),
        static_cast<long long>(3 * options_.tensors), round == 0 ? "true" : "false", seconds,
        static_cast<double>(state_.bytes()) / 1e9 / seconds, cpu_s, after.ru_maxrss / 1024);
    std::fflush(stdout);
  }

  void compare(const char* ours, const char* limit, double goal) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < seconds_[ours].size(); ++i)
      ratios.push_back(seconds_[limit][i] / seconds_[ours][i]);
    const auto ratio = median(ratios);
    std::printf(
        "{\"bench\": \"%s against %s\", \"world\": %d, \"tensors\": %lld, \"seconds\": %.4f, "
        "\"limit_seconds\": %.4f, \"ratio\": %.3f, \"min\": %.3f, \"max\": %.3f, \"goal\": %g, "
        "\"within\": %s}\n",
        ours, limit, comm_.size(), static_cast<long long>(3 * options_.tensors),
        median(seconds_[ours]), median(seconds_[limit]), ratio,
        *std::min_element(ratios.begin(), ratios.end()),
        *std::max_element(ratios.begin(), ratios.end()), goal, ratio >= goal ? "true" : "false");
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

  void read_bare(const CheckpointId& id) {
    const auto file =
        files_->open(checkpoint_path(store_, id) + "/" + shard_file({comm_.rank(), comm_.size()}));
    const auto bytes = file->size() / kPiece * kPiece;
    for_each_index(bytes / kPiece, kThreads, [&](std::size_t i, std::size_t thread) {
      file->read_at(i * kPiece, pieces_[thread].all());
    });
  }

  void save(const CheckpointId& id) {
    Manifest draft;
    draft.checkpoint = id;
    draft.config = "{}";
    draft.run = "bench";
    draft.created = "2026-01-01T00:00:00Z";
    const CommitSteps steps{
        .begin = [&](const CheckpointId& which) { begin_commit(*files_, store_, which); },
        .commit =
            [&](const Manifest& manifest) {
              const auto begin = std::chrono::steady_clock::now();
              commit(*files_, store_, manifest);
              const auto took = std::chrono::steady_clock::now() - begin;
              if (id.iteration > 0) commits_.push_back(std::chrono::duration<double>(took).count());
            },
        .abandon = [&](const CheckpointId& which) { abandon_commit(*files_, store_, which); }};
    save_checkpoint(comm_, *files_, store_, draft, state_.view(), steps);
  }

  void load(const CheckpointId& id) {
    const auto folder = checkpoint_path(store_, id);
    const auto text = root_decides(comm_, "read the manifest", [&] {
      return read_small_file(*files_, folder + "/manifest.json", kMaxManifestBytes);
    });
    const auto manifest = parse_manifest(text, id, "manifest.json");
    load_checkpoint(comm_, *files_, folder, manifest, {}, state_.view(), arena_);
  }

  void forget_pages() {
    ::sync();
    barrier(comm_);
    if (comm_.is_root()) std::ofstream("/proc/sys/vm/drop_caches") << "1\n";
    barrier(comm_);
  }

  const Comm& comm_;
  const Options options_;
  const std::string store_;
  State state_;
  Arena arena_;
  const std::uint64_t own_bytes_;
  std::vector<Pages> pieces_;
  std::unique_ptr<FileSystem> files_ = make_posix_file_system();
  std::map<std::string, std::vector<double>> seconds_;
  std::vector<double> commits_;
};

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::Options options;
  CLI::App app("Saving and loading a checkpoint beside the bare disk");
  app.add_option("--gigabytes", options.gigabytes, "10^9 bytes, all tensors");
  app.add_option("--tensors", options.tensors, "of the model");
  app.add_option("--rounds", options.rounds, "counted, behind a first one");
  app.add_option("--dir", options.dir, "a folder on the disk to measure");
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  {
    const auto comm = lockstep::Comm::duplicate(MPI_COMM_WORLD);
    lockstep::Bench(comm, options).run();
  }
  MPI_Finalize();
  return 0;
}
