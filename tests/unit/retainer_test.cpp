#include "coordinator/retainer.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/catalog.h"
#include "coordinator/pins.h"
#include "coordinator/retention.h"
#include "coordinator/retention_worker.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using lockstep::testing::FaultFileSystem;
using lockstep::testing::Op;
using lockstep::testing::StoreOnDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const Log kSilent({}, false);

std::vector<std::string> there(StoreOnDisk& disk) {
  std::vector<std::string> found;
  for (const auto& checkpoint : scan_store(disk.files(), disk.path()).checkpoints)
    found.push_back(to_text(checkpoint.id));
  return found;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

TEST(Retainer, CountsTheAncestorsUpToTheBranchPointAndLeavesTheAbandonedBranch) {
  StoreOnDisk disk("retainer");
  disk.attempt("a");
  for (const std::int64_t at : {10, 20, 30, 40})
    disk.checkpoint({1, at});
  disk.attempt("b", CheckpointId{1, 20});
  disk.checkpoint({2, 25});
  Retainer(disk.files(), disk.path(), 2, {1, {}, {}}, kSilent).pass(25);
  EXPECT_THAT(there(disk), ElementsAre("1@30", "1@40", "2@25"));
}

TEST(Retainer, ACommitOpensOnlyWhatOthersGoOnTheStrengthOf) {
  StoreOnDisk disk("retainer");
  disk.attempt("a");
  for (std::int64_t at = 1; at <= 20; ++at)
    disk.checkpoint({1, at});
  disk.attempt("b", CheckpointId{1, 20}, std::nullopt);
  FaultFileSystem files(disk.files());
  Retainer retainer(files, disk.path(), 2, {2, 1, KeepBest{"loss", false, 1}}, kSilent);
  disk.checkpoint({2, 21});
  retainer.pass(21);
  const int first = files.calls(Op::kOpen);
  disk.checkpoint({2, 22});
  retainer.pass(22);
  EXPECT_EQ(files.calls(Op::kOpen) - first, 2 * 3) << "a manifest and two shards of two";
  EXPECT_GT(first, 3 * 20) << "the first pass opens the lineage";
}

TEST(Retainer, WhatWasDamagedSinceTheLastPassNoLongerCounts) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  Retainer retainer(disk.files(), disk.path(), 1, {2, {}, {}}, kSilent);
  for (const std::int64_t at : {10, 20}) {
    disk.checkpoint({1, at});
    retainer.pass(at);
  }
  std::filesystem::resize_file(disk.shard_path({1, 20}, 1), 100);
  disk.checkpoint({1, 30});
  retainer.pass(30);
  EXPECT_THAT(there(disk), ElementsAre("1@10", "1@20", "1@30")) << "two good ones stay";
}

TEST(Retainer, TheBestThatWasDamagedSinceTheLastPassGivesItsPlaceToTheNextBest) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  Retainer retainer(disk.files(), disk.path(), 1, {1, {}, KeepBest{"accuracy", true, 1}}, kSilent);
  const std::map<std::int64_t, double> accuracy = {{10, 0.9}, {20, 0.8}, {30, 0.7}};
  for (const auto& [at, value] : accuracy) {
    disk.checkpoint({1, at}, 2, true, {{"accuracy", value}});
    if (at == 30) std::filesystem::resize_file(disk.shard_path({1, 10}, 1), 100);
    if (at != 20) retainer.pass(at);
  }
  EXPECT_THAT(there(disk), ElementsAre("1@20", "1@30"));
}

TEST(Retainer, TheBestAreOpenedAnewInEachPass) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  FaultFileSystem files(disk.files());
  Retainer retainer(files, disk.path(), 1, {1, 1, KeepBest{"accuracy", true, 1}}, kSilent);
  const auto opened = [&](std::int64_t at) {
    disk.checkpoint({1, at}, 2, true, {{"accuracy", at == 10 ? 0.9 : 0.1}});
    const int before = files.calls(Op::kOpen);
    retainer.pass(at);
    return files.calls(Op::kOpen) - before;
  };
  opened(10);
  const int one = opened(20) / 2;
  EXPECT_EQ(opened(30), 2 * one) << "the newest and the best";
}

TEST(Retainer, ACommitThatIsNotAcknowledgedDoesNotCount) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});  // renamed, but its last fsync failed: it will be deleted and made anew
  Retainer retainer(disk.files(), disk.path(), 1, {1, {}, {}}, kSilent);
  retainer.pass(10);
  EXPECT_THAT(there(disk), ElementsAre("1@10", "1@20"));
  retainer.pass(20);
  EXPECT_THAT(there(disk), ElementsAre("1@20"));
}

TEST(Retainer, AHigherAttemptEndsItSilently) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  disk.attempt("b", CheckpointId{1, 20}, std::nullopt);
  const Log log({}, true);
  ::testing::internal::CaptureStderr();
  Retainer(disk.files(), disk.path(), 1, {1, {}, {}}, log).pass(20);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(there(disk), ElementsAre("1@10", "1@20"));
}

TEST(Retainer, OneThatCanNotBeDeletedIsWarnedOfOnceAndTheOthersGo) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  FaultFileSystem files(disk.files());
  files.fail_when(Op::kRename, "0001-0000000020 to ");
  const Log log({}, true);
  Retainer retainer(files, disk.path(), 1, {1, {}, {}}, log);
  ::testing::internal::CaptureStderr();
  retainer.pass(30);
  retainer.pass(30);
  const auto said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(count_of(said, "warning: retention: "), 1U) << said;
  EXPECT_THAT(there(disk), ElementsAre("1@20", "1@30"));
  files.clear();
  retainer.pass(30);
  EXPECT_THAT(there(disk), ElementsAre("1@30"));
}

TEST(Retainer, WhatCanNotBeSweptDoesNotKeepItFromRetaining) {
  StoreOnDisk disk("retainer");
  disk.attempt("a");
  begin_commit(disk.files(), disk.path(), {1, 5});
  disk.checkpoint({1, 10});
  disk.attempt("b", CheckpointId{1, 10}, std::nullopt);
  disk.checkpoint({2, 20});
  FaultFileSystem files(disk.files());
  files.fail_when(Op::kRename, ".partial to ");
  Retainer(files, disk.path(), 2, {1, {}, {}}, kSilent).pass(20);
  EXPECT_THAT(there(disk), ElementsAre("2@20"));
}

TEST(Retainer, OneThatCanNotBeReadIsLeftAloneAndDoesNotCount) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  FaultFileSystem files(disk.files());
  files.fail_when(Op::kOpen, "0001-0000000030");
  Retainer retainer(files, disk.path(), 1, {1, {}, {}}, kSilent);
  retainer.pass(30);
  EXPECT_THAT(there(disk), ElementsAre("1@20", "1@30"));
  files.clear();
  retainer.pass(30);
  EXPECT_THAT(there(disk), ElementsAre("1@30"));
}

TEST(Retainer, HurriedItEndsBetweenTwoCheckpoints) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  Retainer retainer(disk.files(), disk.path(), 1, {1, {}, {}}, kSilent);
  int asked = 0;
  retainer.pass(30, [&] { return ++asked > 4; });  // three are opened, one goes
  EXPECT_EQ(there(disk).size(), 2U);
  EXPECT_EQ(there(disk).back(), "1@30");
}

// Pins it between the rename into trash and the look at the pins.
class PinsAfterRename : public FaultFileSystem {
 public:
  explicit PinsAfterRename(StoreOnDisk& disk) : FaultFileSystem(disk.files()), disk_(disk) {}
  void rename(const std::string& from, const std::string& to) override {
    FaultFileSystem::rename(from, to);
    pin(disk_.files(), disk_.path(), {1, 10});
  }

 private:
  StoreOnDisk& disk_;
};

TEST(Retainer, APinThatComesInTheMidstOfADeletionBringsItBack) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  PinsAfterRename files(disk);
  EXPECT_FALSE(delete_unpinned(files, disk.path(), 1, {{1, 10}, {}, {}}));
  EXPECT_THAT(there(disk), ElementsAre("1@10", "1@20"));
  EXPECT_TRUE(fs::exists(checkpoint_path(disk.path(), {1, 10}) + "/manifest.json"));
}

// A network file system whose listing of pins/ is old until a scratch name was made there.
class StalePins : public FaultFileSystem {
 public:
  using FaultFileSystem::FaultFileSystem;
  bool is_network(const std::string&) const override { return true; }
  void make_folder(const std::string& path) override {
    FaultFileSystem::make_folder(path);
    fresh_ = fresh_ || path.find("/pins/.scratch-") != path.npos;
  }
  std::vector<Entry> list(const std::string& folder) const override {
    if (folder.ends_with("/pins") && !fresh_) return {};
    return FaultFileSystem::list(folder);
  }

 private:
  bool fresh_ = false;
};

TEST(Retainer, APinMadeOnAnotherHostIsSeenThroughAnOldListing) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  pin(disk.files(), disk.path(), {1, 10});
  StalePins files(disk.files());
  EXPECT_FALSE(delete_unpinned(files, disk.path(), 1, {{1, 10}, {}, {}}));
  EXPECT_THAT(there(disk), ElementsAre("1@10", "1@20"));
}

TEST(Retainer, WhatAPruneThatWasKilledLeftIsSweptAfterTheNextCommit) {
  StoreOnDisk disk("retainer");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  FaultFileSystem files(disk.files());
  files.fail_next(Op::kUnlink);
  EXPECT_THROW(delete_unpinned(files, disk.path(), 1, {{1, 10}, {}, {}}), Error);
  EXPECT_THAT(there(disk), ElementsAre("1@20")) << "it was asked to go";
  disk.attempt("b", CheckpointId{1, 20}, std::nullopt);
  disk.checkpoint({2, 30});
  Retainer(disk.files(), disk.path(), 2, {5, {}, {}}, kSilent).pass(30);
  EXPECT_THAT(there(disk), ElementsAre("1@20", "2@30"));
  for (const auto& [path, text] : disk.content())
    EXPECT_EQ(path.find(".trash"), std::string::npos) << path;
}

TEST(Retainer, LinksAreDeletedNeverFollowed) {
  StoreOnDisk disk("retainer");
  disk.attempt("a", {}, std::nullopt);
  for (const std::int64_t at : {10, 20})
    disk.checkpoint({1, at});
  const auto outside = fs::path(disk.path()).parent_path() / "outside";
  fs::create_directory(outside);
  disk.files().overwrite(outside.string() + "/precious", "text");
  const auto farm = checkpoint_path(disk.path(), {1, 10});
  fs::create_symlink(outside / "precious", farm + "/to-a-file");
  fs::create_directory_symlink(outside, farm + "/to-a-folder");
  fs::create_directory_symlink(outside, checkpoint_path(disk.path(), {1, 5}));
  Retainer(disk.files(), disk.path(), 1, {1, {}, {}}, kSilent).pass(20);
  EXPECT_FALSE(fs::exists(farm));
  EXPECT_TRUE(fs::exists(outside / "precious"));
  EXPECT_TRUE(fs::is_symlink(checkpoint_path(disk.path(), {1, 5}))) << "no checkpoint of ours";
}

// ---- the thread
// ----------------------------------------------------------------------------------

// A pass that waits until it is let go.
struct HeldPass {
  RetentionWorker::Pass pass() {
    return [this](std::int64_t iteration, const std::function<bool()>& hurried) {
      std::unique_lock lock(mutex);
      began.push_back(iteration);
      changed.notify_all();
      while (!free && !hurried())
        changed.wait_for(lock, std::chrono::milliseconds(1));
      ++ended;
    };
  }
  void wait_for_begun(std::size_t count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return began.size() >= count; });
  }
  void let_go() {
    const std::scoped_lock lock(mutex);
    free = true;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::int64_t> began;
  int ended = 0;
  bool free = false;
};

TEST(RetentionWorker, NeverHoldsUpTheCommitAndCommitsMeanwhileAreOnePass) {
  HeldPass held;
  RetentionWorker worker(held.pass(), RunsOn::kOwnThread);
  worker.committed(10);
  held.wait_for_begun(1);
  for (const std::int64_t at : {20, 30, 40})
    worker.committed(at);
  held.let_go();
  worker.finish(std::nullopt);
  EXPECT_THAT(held.began, ElementsAre(10, 40));
  EXPECT_EQ(held.ended, 2);
}

TEST(RetentionWorker, AtItsLimitItHurriesWhatIsUnderWayAndDropsWhatWaits) {
  HeldPass held;
  RetentionWorker worker(held.pass(), RunsOn::kOwnThread);
  worker.committed(10);
  held.wait_for_begun(1);
  worker.committed(20);
  worker.finish(0.01);
  EXPECT_THAT(held.began, ElementsAre(10));
  EXPECT_EQ(held.ended, 1) << "the thread is gone";
  worker.finish(0.01);
}

TEST(RetentionWorker, WithoutAThreadAPassIsDoneWhenCommittedReturns) {
  std::vector<std::int64_t> passes;
  RetentionWorker worker([&](std::int64_t at, const auto&) { passes.push_back(at); },
                         RunsOn::kCallersThread);
  worker.committed(10);
  EXPECT_THAT(passes, ElementsAre(10));
  worker.committed(20);
  worker.finish(std::nullopt);
  EXPECT_THAT(passes, ElementsAre(10, 20));
}

}  // namespace
}  // namespace lockstep
