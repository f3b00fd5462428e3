#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include <unistd.h>

#include "common/agree.h"
#include "common/names.h"
#include "coordinator/commit.h"
#include "tests/bench/bench_state.h"
#include "tests/bench/figures.h"
#include "worker/checkpoint.h"

namespace lockstep {

inline Share share_of(const Comm& comm) {
  return {comm.rank(), comm.size()};
}

// A store of attempt 1 alone, with the coordinator's own commit, on the file system of `dir`.
class BenchStore {
 public:
  static constexpr std::int64_t kAttempt = 1;

  // Collective; `comm` must outlive it.
  BenchStore(const Comm& comm, const std::string& dir)
      : comm_(comm), path_(std::filesystem::absolute(dir + "/checkpoint-bench").string()) {
    if (comm.is_root()) {
      std::filesystem::remove_all(path_);
      std::filesystem::create_directories(checkpoints_path(path_));
      std::filesystem::create_directories(attempt_path(path_, kAttempt));
    }
    barrier(comm);
  }
  ~BenchStore() {
    barrier(comm_);
    if (comm_.is_root()) std::filesystem::remove_all(path_);
  }
  BenchStore(const BenchStore&) = delete;
  BenchStore& operator=(const BenchStore&) = delete;

  FileSystem& files() { return *files_; }
  const std::string& path() const { return path_; }
  double commit_seconds() const { return commit_s_; }  // rank 0: the last one

  std::unique_ptr<PendingSave> begin_save(const Comm& comm, const CheckpointId& id,
                                          const BenchState& state, std::optional<Beside> beside) {
    Manifest draft;
    draft.checkpoint = id;
    draft.config = "{}";
    draft.run = "bench";
    draft.created = "2026-01-01T00:00:00Z";
    return lockstep::begin_save(comm, *files_, path_, draft, state.view(), steps(), beside);
  }

  void save(const Comm& comm, const CheckpointId& id, const BenchState& state) {
    begin_save(comm, id, state, {})->finish({});
  }

  void load(const Comm& comm, const CheckpointId& id, const BenchState& state) const {
    const auto folder = checkpoint_path(path_, id);
    const auto text = root_decides(comm, "read the manifest", [&] {
      return read_small_file(*files_, folder + "/manifest.json", kMaxManifestBytes);
    });
    const auto manifest = parse_manifest(text, id, "manifest.json");
    load_checkpoint(comm, *files_, folder, manifest, {}, state.view());
  }

  // Collective over the store's ranks.
  void remove(const CheckpointId& id) const {
    barrier(comm_);
    if (comm_.is_root()) std::filesystem::remove_all(checkpoint_path(path_, id));
    barrier(comm_);
  }
  // Collective over `comm`. As root; else what is read was written past the page cache anyway.
  static void forget_pages(const Comm& comm) {
    ::sync();
    barrier(comm);
    if (comm.is_root()) std::ofstream("/proc/sys/vm/drop_caches") << "1\n";
    barrier(comm);
  }

 private:
  CommitSteps steps() {
    return {.begin = [&](const CheckpointId& which) { begin_commit(*files_, path_, which); },
            .commit =
                [&](const Manifest& manifest) {
                  const auto begin = Clock::now();
                  commit(*files_, path_, manifest);
                  commit_s_ = since(begin);
                },
            .abandon = [&](const CheckpointId& which) { abandon_commit(*files_, path_, which); }};
  }

  const Comm& comm_;
  const std::string path_;
  std::unique_ptr<FileSystem> files_ = make_posix_file_system();
  double commit_s_ = 0;
};

}  // namespace lockstep
