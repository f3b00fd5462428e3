#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <mpi.h>

#include "common/agree.h"
#include "common/comm.h"
#include "common/error.h"
#include "common/file_system.h"
#include "common/manifest.h"
#include "common/names.h"
#include "tests/support/test_state.h"
#include "worker/checkpoint.h"

namespace lockstep::testing {

// Two layouts of the same tensors: other sections, another order.
inline std::vector<SectionPlan> saved_layout() {
  return {
      {{{"buffer.count", Dtype::kI64, {}}, {"buffer.seen", Dtype::kI64, {3}}}, true},
      {{{"model.conv", Dtype::kF32, {4, 3, 3}}, {"model.fc", Dtype::kF32, {10, 7}}}, true},
      {{{"model.bias", Dtype::kF32, {10}}, {"model.none", Dtype::kF32, {0, 5}}}, true},
      {{{"buffer.mean", Dtype::kF32, {4}}}, true},
      {{{"optimizer.conv.exp_avg", Dtype::kF32, {4, 3, 3}},
        {"optimizer.fc.exp_avg", Dtype::kF32, {10, 7}}},
       false},
      {{{"optimizer.mask", Dtype::kU8, {3}}}, false},
  };
}
inline std::vector<SectionPlan> other_layout() {
  return {
      {{{"buffer.seen", Dtype::kI64, {3}}, {"buffer.count", Dtype::kI64, {}}}, true},
      {{{"optimizer.fc.exp_avg", Dtype::kF32, {10, 7}}}, false},
      {{{"model.none", Dtype::kF32, {0, 5}},
        {"model.fc", Dtype::kF32, {10, 7}},
        {"model.bias", Dtype::kF32, {10}},
        {"buffer.mean", Dtype::kF32, {4}}},
       true},
      {{{"optimizer.conv.exp_avg", Dtype::kF32, {4, 3, 3}}}, false},
      {{{"model.conv", Dtype::kF32, {4, 3, 3}}}, true},
      {{{"optimizer.mask", Dtype::kU8, {3}}}, false},
  };
}

inline Share share_of(const Comm& comm) {
  return {comm.rank(), comm.size()};
}

// Collective over `world`: a communicator of its first ranks; nothing on the others.
inline std::optional<Comm> first_ranks(const Comm& world, int ranks) {
  const bool inside = world.rank() < ranks;
  MPI_Comm split = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(world.raw(), inside ? 0 : MPI_UNDEFINED, world.rank(), &split),
            "MPI_Comm_split");
  if (!inside) return std::nullopt;
  auto comm = Comm::duplicate(split);
  check_mpi(MPI_Comm_free(&split), "MPI_Comm_free");
  return comm;
}

inline void wait_for_all(const Comm& world) {
  check_mpi(MPI_Barrier(world.raw()), "MPI_Barrier");
}

// A store in the test's working folder, made anew by rank 0 before the others go on.
class Site {
 public:
  Site(const Comm& world, const std::string& name)
      : store(std::filesystem::absolute("site-" + name).string()) {
    if (world.is_root()) {
      std::filesystem::remove_all(store);
      std::filesystem::create_directories(checkpoints_path(store));
    }
    wait_for_all(world);
  }

  // What the coordinator does for a save, on rank 0.
  CommitSteps steps(FileSystem& files) const {
    const auto root = store;
    return {.begin = [&files,
                      root](const CheckpointId& id) { files.make_folder(partial_path(root, id)); },
            .commit =
                [&files, root](const Manifest& manifest) {
                  const auto& id = manifest.checkpoint;
                  write_durably(files, partial_path(root, id) + "/manifest.json",
                                encode_manifest(manifest));
                  files.sync_folder(partial_path(root, id));
                  files.rename(partial_path(root, id), checkpoint_path(root, id));
                  files.sync_folder(checkpoints_path(root));
                },
            .abandon =
                [root](const CheckpointId& id) {
                  std::filesystem::remove_all(partial_path(root, id));
                }};
  }

  static Manifest draft(const CheckpointId& id) {
    Manifest manifest;
    manifest.checkpoint = id;
    manifest.config = "{}";
    manifest.run = "r";
    manifest.created = "2026-01-01T00:00:00Z";
    return manifest;
  }

  void save(const Comm& comm, FileSystem& files, const CheckpointId& id, TestState& state,
            std::optional<Beside> beside = {}) const {
    begin_save(comm, files, store, draft(id), state.view(), steps(files), beside)->finish({});
  }

  Manifest manifest(const CheckpointId& id) const {
    const auto files = make_posix_file_system();
    return parse_manifest(read_small_file(*files, path(id) + "/manifest.json"), id, to_text(id));
  }

  void load(const Comm& comm, const FileSystem& files, const CheckpointId& id,
            TestState& state) const {
    load_checkpoint(comm, files, path(id), manifest(id), {}, state.view());
  }

  std::string path(const CheckpointId& id) const { return checkpoint_path(store, id); }
  std::string shard(const CheckpointId& id, std::int64_t index, std::int64_t count) const {
    return path(id) + "/" + shard_file({index, count});
  }
  bool has(const std::string& path) const { return std::filesystem::exists(path); }

  std::string store;
};

struct Failure {
  ErrorCode code = ErrorCode::kOk;
  int rank = -1;
  std::string text;

  friend bool operator==(const Failure&, const Failure&) = default;
};

// Collective over `comm`: the AgreedError that `run` throws, the same on every rank, else a failure
// of the test. kOk where nothing is thrown.
inline Failure agreed_failure(const Comm& comm, const std::function<void()>& run) {
  Failure mine;
  try {
    run();
  } catch (const AgreedError& e) {
    mine = {e.code(), e.rank(), e.what()};
  }
  const auto all = mine.text + "|" + std::to_string(static_cast<int>(mine.code)) + "|" +
                   std::to_string(mine.rank);
  EXPECT_EQ(all, root_decides(comm, "compare", [&] { return all; }));
  return mine;
}

}  // namespace lockstep::testing
