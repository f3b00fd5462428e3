#include "coordinator/examine_all.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/parallel.h"
#include "coordinator/retention.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::Fault;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Op;
using testing::StoreOnDisk;
namespace fs = std::filesystem;

const std::vector<CheckpointId> kThree = {{1, 30}, {1, 20}, {1, 10}};

class ExamineAll : public ::testing::Test {
 protected:
  ExamineAll() : files(disk.files()) {
    disk.attempt("a");
    for (const auto& id : kThree)
      disk.checkpoint(id, 3, id.iteration != 20);
    view = scan_store(disk.files(), disk.path());
  }
  ExaminedAll examine(Depth depth = Depth::kBytes) {
    return examine_all(
        files, disk.path(), view, kThree,
        {.depth = depth, .threads = 3, .progress = {.on_verified = [&](std::uint64_t bytes) {
                                         verified += bytes;
                                       }}});
  }
  CheckpointState state(std::int64_t iteration) {
    return view.checkpoint({1, iteration})->examined.value().state;
  }

  StoreOnDisk disk{"examine-all"};
  FaultFileSystem files;
  StoreView view;
  std::atomic<std::uint64_t> verified = 0;
};

TEST_F(ExamineAll, FindsWhatExamineFindsAndReadsEachByteOnce) {
  std::uint64_t total = 0;
  examine_all(files, disk.path(), view, kThree,
              {Depth::kBytes, 3, [&](std::uint64_t bytes) { total = bytes; },
               [&](std::uint64_t bytes) { verified += bytes; }});
  EXPECT_EQ(state(30), CheckpointState::kGood);
  EXPECT_EQ(state(20), CheckpointState::kNotFinite);
  EXPECT_EQ(total, 120U) << "three times ten floats";
  EXPECT_EQ(verified, 120U);
  for (const auto& id : kThree) {
    const auto alone =
        lockstep::examine(disk.files(), disk.path(), *view.checkpoint(id), Depth::kBytes);
    EXPECT_EQ(view.checkpoint(id)->examined->bytes, alone.bytes);
    EXPECT_EQ(view.checkpoint(id)->examined->manifest_digest, alone.manifest_digest);
  }
}

TEST_F(ExamineAll, TheLowestDamagedShardSpeaks) {
  files.fault_when(Op::kReadAt, "0001-0000000010/shard-00002", Fault::kFlipBit);
  files.fault_when(Op::kReadAt, "0001-0000000010/shard-00001", Fault::kFlipBit);
  EXPECT_THAT(examine().unreadable, IsEmpty());
  EXPECT_EQ(state(10), CheckpointState::kDamaged);
  EXPECT_THAT(view.checkpoint({1, 10})->examined->why, HasSubstr("shard 1: "));
  EXPECT_EQ(state(30), CheckpointState::kGood);
}

TEST_F(ExamineAll, OnlyBytesShowDamageOfTheDataAndOnlyHeadersThatOfShards) {
  const auto shard = disk.shard_path({1, 10}, 1, 3);
  fs::resize_file(shard, fs::file_size(shard) - 1);
  examine(Depth::kManifest);
  EXPECT_EQ(state(10), CheckpointState::kGood);
  examine(Depth::kHeaders);
  EXPECT_EQ(state(10), CheckpointState::kDamaged);
  EXPECT_EQ(verified, 0U);
}

TEST_F(ExamineAll, WhatCantBeReadIsNeitherGoodNorDamaged) {
  files.fail_when(Op::kOpen, "0001-0000000010/shard-00002");
  const auto all = examine();
  ASSERT_EQ(all.unreadable.size(), 1U);
  EXPECT_EQ(all.unreadable[0].checkpoint, (CheckpointId{1, 10}));
  EXPECT_FALSE(view.checkpoint({1, 10})->examined.has_value());
  testing::error_of(ErrorCode::kIo, [&] { examine_headers(files, disk.path(), view, kThree); });
}

TEST_F(ExamineAll, OneThatIsDeletedMeanwhileIsGoneNotDamaged) {
  fs::remove_all(checkpoint_path(disk.path(), {1, 10}));
  EXPECT_THAT(examine().gone, ElementsAre(CheckpointId{1, 10}));
  EXPECT_EQ(view.checkpoint({1, 10}), nullptr);
  EXPECT_EQ(view.checkpoints.size(), 2U);
}

TEST_F(ExamineAll, OneThatADeleterHasTrashedMeanwhileIsFoundThere) {
  disk.attempt("b", {}, std::nullopt);
  fs::rename(checkpoint_path(disk.path(), {1, 10}),
             checkpoints_path(disk.path()) + "/" + trash_folder({2, "0123456789abcdef", {1, 10}}));
  EXPECT_THAT(examine().gone, IsEmpty());
  EXPECT_EQ(state(10), CheckpointState::kGood);
}

TEST(ForEachIndex, DoesEachOnceAndPassesTheFirstException) {
  for (const std::size_t threads : {1U, 2U, 7U}) {
    std::vector<std::atomic<int>> done(50);
    for_each_index(done.size(), threads, [&](std::size_t i) { ++done[i]; });
    for (const auto& count : done)
      EXPECT_EQ(count, 1);
    EXPECT_THROW(for_each_index(50, threads,
                                [&](std::size_t i) {
                                  if (i == 9) throw Error(ErrorCode::kIo, "planted");
                                }),
                 Error);
  }
}

TEST_F(ExamineAll, ALastCommitThatIsLostKeepsTheReasonOfTheScan) {
  write_outcome(disk.files(), disk.path(), 1, {OutcomeKind::kFinished, 0, 30, {}, {}});
  fs::remove_all(checkpoint_path(disk.path(), {1, 30}));
  view = scan_store(disk.files(), disk.path());
  EXPECT_THAT(examine().gone, IsEmpty());
  EXPECT_EQ(state(30), CheckpointState::kDamaged);
  EXPECT_THAT(view.checkpoint({1, 30})->examined->why, HasSubstr("gone, though its attempt says"));
}

}  // namespace
}  // namespace lockstep
