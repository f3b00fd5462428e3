#include "coordinator/commit.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/catalog.h"
#include "coordinator/lineage.h"
#include "coordinator/pins.h"
#include "coordinator/retainer.h"
#include "coordinator/retention.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using lockstep::testing::Fault;
using lockstep::testing::FaultFileSystem;
using lockstep::testing::Op;
using lockstep::testing::StoreOnDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

std::vector<std::string> good_ones(StoreOnDisk& disk) {
  std::vector<std::string> found;
  const auto view = scan_store(disk.files(), disk.path());
  for (const auto& checkpoint : view.checkpoints)
    if (examine(disk.files(), disk.path(), checkpoint, Depth::kBytes).state ==
        CheckpointState::kGood)
      found.push_back(to_text(checkpoint.id));
  return found;
}

std::size_t all_of(StoreOnDisk& disk) {
  return scan_store(disk.files(), disk.path()).checkpoints.size();
}

ErrorCode code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::kOk;
}

constexpr std::array kWrites = {Op::kCreate, Op::kAppend,     Op::kFinish,   Op::kRename,
                                Op::kList,   Op::kSyncFolder, Op::kOverwrite};

TEST(Commit, CutAtAnyStepLeavesTheOldSetOrTheNewOne) {
  int cuts = 0;
  for (const auto op : kWrites)
    for (const auto fault : {Fault::kThrow, Fault::kDoneThenThrow})
      for (int nth = 1;; ++nth) {
        StoreOnDisk disk("cut");
        disk.attempt("a");
        disk.checkpoint({1, 10});
        begin_commit(disk.files(), disk.path(), {1, 20});
        const auto manifest = disk.write_shards({1, 20}, 2);
        FaultFileSystem files(disk.files());
        files.fault_next(op, fault, nth);
        const auto code = code_of([&] { commit(files, disk.path(), manifest); });
        if (files.fired() == 0) break;
        ++cuts;
        EXPECT_EQ(code, ErrorCode::kIo);
        const auto good = good_ones(disk);
        EXPECT_EQ(good.size(), all_of(disk)) << "never half a checkpoint";
        EXPECT_EQ(good.front(), "1@10");
        // The save is tried again, whatever the first try left.
        begin_commit(disk.files(), disk.path(), {1, 20});
        commit(disk.files(), disk.path(), disk.write_shards({1, 20}, 2));
        EXPECT_THAT(good_ones(disk), ElementsAre("1@10", "1@20"));
      }
  EXPECT_GE(cuts, 14);
}

TEST(Commit, AHigherAttemptSeenBeforeTheRenameStopsIt) {
  StoreOnDisk disk("superseded");
  disk.attempt("a");
  begin_commit(disk.files(), disk.path(), {1, 20});
  const auto manifest = disk.write_shards({1, 20}, 2);
  disk.attempt("b");
  EXPECT_EQ(code_of([&] { commit(disk.files(), disk.path(), manifest); }), ErrorCode::kSuperseded);
  EXPECT_THAT(good_ones(disk), IsEmpty());
}

// Claims the next attempt just after the rename, as a job would that saw the sleeper as dead.
class ClaimsAfterRename : public FaultFileSystem {
 public:
  explicit ClaimsAfterRename(StoreOnDisk& disk) : FaultFileSystem(disk.files()), disk_(disk) {}
  void rename(const std::string& from, const std::string& to) override {
    FaultFileSystem::rename(from, to);
    disk_.attempt("b");
  }

 private:
  StoreOnDisk& disk_;
};

TEST(Commit, AHigherAttemptSeenAfterTheRenameIsNotAcknowledgedAndNotReached) {
  StoreOnDisk disk("superseded");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  begin_commit(disk.files(), disk.path(), {1, 20});
  const auto manifest = disk.write_shards({1, 20}, 2);
  ClaimsAfterRename files(disk);
  EXPECT_EQ(code_of([&] { commit(files, disk.path(), manifest); }), ErrorCode::kSuperseded);
}

TEST(Commit, AbandonLeavesNothing) {
  StoreOnDisk disk("abandon");
  disk.attempt("a");
  const auto before = disk.content();
  begin_commit(disk.files(), disk.path(), {1, 20});
  disk.write_shards({1, 20}, 2);
  abandon_commit(disk.files(), disk.path(), {1, 20});
  abandon_commit(disk.files(), disk.path(), {1, 20});
  EXPECT_EQ(disk.content(), before);
}

// What a pass of attempt `attempt` deletes, newest first.
std::vector<std::string> deletions(StoreOnDisk& disk, std::int64_t attempt, std::int64_t keep) {
  const Log silent({}, false);
  const auto before = scan_store(disk.files(), disk.path());
  Retainer(disk.files(), disk.path(), attempt, {keep, {}, {}}, silent).pass(INT64_MAX);
  const auto after = scan_store(disk.files(), disk.path());
  std::vector<std::string> gone;
  for (const auto& id : lineage(before, attempt))
    if (after.checkpoint(id) == nullptr) gone.push_back(to_text(id));
  return gone;
}

TEST(Retention, KeepsTheNewestOfTheLineageAndLeavesAbandonedBranchesAlone) {
  StoreOnDisk disk("retain");
  disk.attempt("a");
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  disk.attempt("b", CheckpointId{1, 20});
  disk.checkpoint({2, 25});
  EXPECT_THAT(deletions(disk, 2, 2), ElementsAre("1@10"));
  EXPECT_THAT(good_ones(disk), ElementsAre("1@20", "1@30", "2@25"));
  EXPECT_THAT(deletions(disk, 2, 1), ElementsAre("1@20"));
  EXPECT_THAT(deletions(disk, 2, 1), IsEmpty());
  EXPECT_THAT(good_ones(disk), ElementsAre("1@30", "2@25"));
}

TEST(Retention, LeavesPinnedOnes) {
  StoreOnDisk disk("retain");
  disk.attempt("a");
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  pin(disk.files(), disk.path(), {1, 10});
  EXPECT_THAT(deletions(disk, 1, 1), ElementsAre("1@20"));
}

TEST(Retention, DamagedAndNonFiniteOnesNeverCount) {
  StoreOnDisk disk("retain");
  disk.attempt("a");
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  disk.checkpoint({1, 35}, 2, false);
  disk.checkpoint({1, 40}, 2, false);
  fs::remove(disk.shard_path({1, 30}, 0));
  EXPECT_THAT(deletions(disk, 1, 1), ElementsAre("1@35", "1@10"))
      << "of non-finite ones the newest stays; 1@20 is the last good one";
  EXPECT_THAT(good_ones(disk), ElementsAre("1@20"));
}

TEST(Retention, ADeleterThatIsNotTheNewestPutsItBack) {
  StoreOnDisk disk("retain");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  disk.attempt("b", CheckpointId{1, 10});
  const auto before = disk.content();
  EXPECT_EQ(code_of([&] {
              delete_checkpoint(disk.files(), disk.path(), 1, {1, 10});
            }),
            ErrorCode::kSuperseded);
  EXPECT_EQ(disk.content(), before);
}

TEST(Retention, WhatADeadDeleterHadInTrashIsPresentAndComesBack) {
  StoreOnDisk disk("trash");
  disk.attempt("a", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  FaultFileSystem files(disk.files());
  files.fail_next(Op::kUnlink);
  EXPECT_THROW(delete_checkpoint(files, disk.path(), 1, {1, 10}), Error);
  auto view = scan_store(disk.files(), disk.path());
  ASSERT_NE(view.checkpoint({1, 10}), nullptr);
  EXPECT_TRUE(view.checkpoint({1, 10})->trash);
  EXPECT_THAT(good_ones(disk), ElementsAre("1@10", "1@20"));
  restore_trash(disk.files(), disk.path(), view);
  EXPECT_TRUE(fs::exists(checkpoint_path(disk.path(), {1, 10}) + "/manifest.json"));
  EXPECT_THAT(good_ones(disk), ElementsAre("1@10", "1@20"));
}

TEST(Retention, TrashWithoutAManifestIsSweptNeverRestored) {
  StoreOnDisk disk("trash");
  disk.attempt("a", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  FaultFileSystem files(disk.files());
  files.fail_next(Op::kUnlink, ErrorCode::kIo, 2);  // the manifest goes first
  EXPECT_THROW(delete_checkpoint(files, disk.path(), 1, {1, 10}), Error);
  EXPECT_THAT(good_ones(disk), ElementsAre("1@20"));
  disk.attempt("b", CheckpointId{1, 20});
  begin_commit(disk.files(), disk.path(), {1, 30});
  sweep_partials(disk.files(), disk.path(), 2);
  for (const auto& [path, text] : disk.content()) {
    EXPECT_EQ(path.find(".trash"), std::string::npos) << path;
    EXPECT_EQ(path.find(".partial"), std::string::npos) << path;
  }
  EXPECT_THAT(good_ones(disk), ElementsAre("1@20"));
}

// Somebody put a folder into a checkpoint. It stays, and its place; the shards and all else go.
TEST(Retention, AFolderInACheckpointHindersNoOtherSweep) {
  StoreOnDisk disk("folder");
  disk.attempt("a", {}, std::nullopt);
  for (const std::int64_t at : {10, 20})
    begin_commit(disk.files(), disk.path(), {1, at});
  for (const std::int64_t at : {10, 20})
    disk.files().create(partial_path(disk.path(), {1, at}) + "/shard")->finish();
  disk.files().make_folder(partial_path(disk.path(), {1, 10}) + "/notes");
  disk.attempt("b", CheckpointId{1, 20});
  EXPECT_THAT(
      testing::error_of(ErrorCode::kIo, [&] { sweep_partials(disk.files(), disk.path(), 2); }),
      HasSubstr("/notes: "));
  for (const auto& [path, text] : disk.content())
    EXPECT_EQ(path.find("/shard"), std::string::npos) << path;
  std::size_t left = 0;
  for (const auto& entry : disk.files().list(checkpoints_path(disk.path())))
    left += entry.name.starts_with(".") ? 1 : 0;
  EXPECT_EQ(left, 1U);
}

// Nobody else would: an attempt that has no space for its first commit never sweeps behind it.
TEST(Retention, WithoutSpaceForASaveWhatDeadAttemptsLeftIsSweptFirst) {
  StoreOnDisk disk("space");
  disk.attempt("a", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.attempt("b", CheckpointId{1, 10});
  begin_commit(disk.files(), disk.path(), {1, 20});
  const auto left = partial_path(disk.path(), {1, 20});
  const auto free = [&] { return std::optional<std::uint64_t>(fs::exists(left) ? 99 : 100); };
  make_space(disk.files(), disk.path(), 2, free, 99);
  EXPECT_TRUE(fs::exists(left)) << "there was enough";
  make_space(
      disk.files(), disk.path(), 2, [] { return std::nullopt; }, 100);
  EXPECT_TRUE(fs::exists(left)) << "it can't be told";
  make_space(disk.files(), disk.path(), 2, free, 100);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_THROW(make_space(disk.files(), disk.path(), 2, free, 101), Error);
  EXPECT_THAT(good_ones(disk), ElementsAre("1@10"));
}

}  // namespace
}  // namespace lockstep
