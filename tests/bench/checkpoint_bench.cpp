// Saving and loading a checkpoint, beside what disk and memory do bare, in the same rounds: one
// JSON line each, and the medians at the end. On the file system of --dir.
//   mpirun -n 2 build/release/tests/checkpoint_bench --gigabytes 2 --tensors 144 --rounds 5
//
// The state is random. The clock runs between two barriers, so it is the slowest rank's.
//   raw_write    as many bytes a rank as its shard has, 4 MiB at a time past the page cache by four
//                threads, space reserved before, fsynced; no checksum, no commit
//   save         save_checkpoint with the coordinator's own commit: durable and acknowledged
//   raw_commit   the files' operations of a commit alone, on files of the same sizes
//   memcpy       each rank's bytes to memory that was touched before, by as many threads as `held`
//   call         what begins a save beside training
//   held         the same, and its copy awaited at once: for so long training is held
//   beside       the same until it is durable and acknowledged
//   raw_read     the shards' bytes, as raw_write, into memory that is used again and again
//   load         load_checkpoint: verified, put into place, parameters spread
// Cold: the page cache is dropped before (as root), else what is read was written past it anyway.
// What other numbers of ranks saved: reshard_bench.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <mpi.h>

#include "common/heap.h"
#include "common/pages.h"
#include "common/parallel.h"
#include "tests/bench/bench_options.h"
#include "tests/bench/bench_store.h"

namespace lockstep {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;
constexpr std::size_t kThreads = 4;  // that write and read

struct Options : BenchOptions {
  std::size_t copy_threads = 1;
};

std::uint64_t own_bytes_of(const StateView& view, Share rank) {
  std::uint64_t bytes = 0;
  for (const auto& section : view.sections)
    bytes += own_bytes(section, rank).size();
  return bytes;
}

class Bench {
 public:
  Bench(const Comm& comm, const Options& options)
      : comm_(comm),
        options_(options),
        rss_before_mib_(peak_rss_mib()),
        store_(comm, options.dir),
        state_(options.tensors, options.gigabytes, share_of(comm)),
        own_bytes_(own_bytes_of(state_.view(), share_of(comm))),
        pieces_(kThreads),
        figures_(comm, 3 * options.tensors, data_bytes(state_.view())) {
    arena_.prepare(own_bytes_);
    for (auto& piece : pieces_) {
      piece = Pages(kPiece);
      fill_randomly(piece.all(), 77);
    }
  }

  void run() {
    for (int round = 0; round <= options_.rounds; ++round) {
      const CheckpointId id{BenchStore::kAttempt, round};
      figures_.measure("raw_write", round, [&] { write_bare(); });
      remove_bare();
      figures_.measure("save", round, [&] { store_.save(comm_, id, state_); });
      figures_.add("commit", round, over_ranks(comm_, store_.commit_seconds(), MPI_MAX));
      figures_.measure("raw_commit", round, [&] { commit_bare(id); });
      BenchStore::forget_pages(comm_);
      figures_.measure("raw_read", round, [&] { read_bare(id); });
      BenchStore::forget_pages(comm_);
      figures_.measure("load", round, [&] { store_.load(comm_, id, state_); });
      store_.remove(id);
      figures_.measure("memcpy", round, [&] { copy_bare(); });
      save_beside(id, round);
      store_.remove(id);
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

 private:
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

  std::string bare_path() const { return store_.path() + "/bare-" + std::to_string(comm_.rank()); }

  void write_bare() {
    const auto file = store_.files().create(bare_path());
    file->reserve(own_bytes_);
    for_each_index(
        (own_bytes_ + kPiece - 1) / kPiece, kThreads, [&](std::size_t i, std::size_t thread) {
          const auto begin = i * kPiece;
          file->write_at(begin, pieces_[thread].all().first(std::min(kPiece, own_bytes_ - begin)));
        });
    file->finish();
  }

  void remove_bare() {
    store_.files().unlink(bare_path());
    barrier(comm_);
  }

  // Rank 0: a file as large as the manifest, made durable, and its folder renamed.
  void commit_bare(const CheckpointId& id) {
    if (!comm_.is_root()) return;
    const auto bytes =
        store_.files().info(checkpoint_path(store_.path(), id) + "/manifest.json")->bytes;
    const auto folder = store_.path() + "/bare";
    store_.files().make_folder(folder);
    const auto file = store_.files().create(folder + "/manifest.json");
    const std::string text(bytes, 'x');
    file->append(std::as_bytes(std::span(text)));
    file->finish();
    store_.files().sync_folder(folder);
    store_.files().rename(folder, folder + "-renamed");
    store_.files().sync_folder(store_.path());
    std::filesystem::remove_all(folder + "-renamed");
  }

  void read_bare(const CheckpointId& id) {
    const auto file = store_.files().open(checkpoint_path(store_.path(), id) + "/" +
                                          shard_file({comm_.rank(), comm_.size()}));
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

  void save_beside(const CheckpointId& id, int round) {
    barrier(comm_);
    const auto begin = Clock::now();
    const auto save = store_.begin_save(comm_, id, state_, Beside{arena_, options_.copy_threads});
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

  const Comm& comm_;
  const Options options_;
  const long rss_before_mib_;
  BenchStore store_;
  BenchState state_;
  Arena arena_;
  const std::uint64_t own_bytes_;
  std::vector<Pages> pieces_;
  Figures figures_;
};

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::share_heap_arenas();
  lockstep::Options options;
  CLI::App app("Saving and loading a checkpoint beside the bare disk and memory");
  lockstep::add_options(app, options);
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
