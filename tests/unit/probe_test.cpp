#include "coordinator/probe.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/catalog.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::Op;
using testing::StoreOnDisk;

namespace fs = std::filesystem;

std::size_t entries_of(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(Probe, AStoreIsLeftAsItWas) {
  StoreOnDisk disk("probe");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  const auto before = disk.content();
  const auto entries = entries_of(disk.path());
  {
    Scratch scratch(disk.files(), disk.path());
    EXPECT_THAT(scratch.open().text, HasSubstr("1 attempt, 1 checkpoint"));
    EXPECT_EQ(probe_durability(disk.files(), scratch.path(), "x").verdict, Verdict::kOk);
    EXPECT_EQ(probe_durability(disk.files(), scratch.path(), "y").verdict, Verdict::kOk);
    EXPECT_NE(probe_direct_io(scratch.path(), "x").verdict, Verdict::kError);
    EXPECT_EQ(probe_clock(disk.files(), scratch.path()).verdict, Verdict::kOk);
    EXPECT_EQ(scan_store(disk.files(), disk.path()).checkpoints.size(), 1U) << "a foreign name";
  }
  EXPECT_EQ(disk.content(), before);
  EXPECT_EQ(entries_of(disk.path()), entries) << "the scratch folder is gone";
}

TEST(Probe, AStoreYetToBeMadeIsTriedBesideItsPlace) {
  StoreOnDisk disk("probe");
  const auto parent = fs::path(disk.path()).parent_path();
  {
    Scratch scratch(disk.files(), disk.path());
    EXPECT_THAT(scratch.open().text, HasSubstr("will be made"));
    EXPECT_EQ(fs::path(scratch.path()).parent_path(), parent);
  }
  EXPECT_FALSE(fs::exists(disk.path()));
  EXPECT_EQ(entries_of(parent), 0U);
}

TEST(Probe, WhatIsNoStoreOrCannotBeMadeIsAnErrorWithAdvice) {
  StoreOnDisk disk("probe");
  Scratch nowhere(disk.files(), disk.path() + "/a/b/c");
  const auto check = nowhere.open();
  EXPECT_EQ(exit_code(check.code), 2);
  EXPECT_THAT(check.advice, HasSubstr("mkdir -p " + disk.path() + "/a/b"));
  EXPECT_EQ(nowhere.path(), "");

  disk.attempt("a");
  fs::remove(disk.path() + "/store.json");
  Scratch broken(disk.files(), disk.path());
  EXPECT_EQ(exit_code(broken.open().code), 2);
}

TEST(Probe, EveryOperationThatACommitReliesOnIsTried) {
  StoreOnDisk disk("probe");
  disk.attempt("a");
  FaultFileSystem files(disk.files());
  Scratch scratch(files, disk.path());
  ASSERT_EQ(scratch.open().verdict, Verdict::kOk);
  int round = 0;
  for (const auto op : {Op::kCreate, Op::kAppend, Op::kFinish, Op::kRename, Op::kLink,
                        Op::kClaimFolder, Op::kSyncFolder}) {
    files.fail_next(op);
    const auto check = probe_durability(files, scratch.path(), "r" + std::to_string(++round));
    EXPECT_EQ(check.verdict, Verdict::kError) << static_cast<int>(op);
    EXPECT_EQ(exit_code(check.code), 3) << static_cast<int>(op);
    EXPECT_FALSE(check.advice.empty());
  }
  EXPECT_EQ(probe_durability(files, scratch.path(), "last").verdict, Verdict::kOk);
}

// A file system on which one promise does not hold.
class Liar : public FaultFileSystem {
 public:
  enum class Lie : std::uint8_t { kLinkReplaces, kRenameKeeps, kRenameLoses, kMkdirTwice };
  Liar(FileSystem& inner, Lie lie) : FaultFileSystem(inner), inner_(inner), lie_(lie) {}

  bool link(const std::string& from, const std::string& to) override {
    if (lie_ != Lie::kLinkReplaces) return FaultFileSystem::link(from, to);
    inner_.unlink(to);
    return inner_.link(from, to);
  }
  void rename(const std::string& from, const std::string& to) override {
    if (lie_ == Lie::kRenameLoses && inner_.info(to)) return inner_.unlink(from);
    if (lie_ != Lie::kRenameKeeps) return FaultFileSystem::rename(from, to);
    inner_.link(from, to);
  }
  bool claim_folder(const std::string& path) override {
    return FaultFileSystem::claim_folder(path) || lie_ == Lie::kMkdirTwice;
  }

 private:
  FileSystem& inner_;
  Lie lie_;
};

TEST(Probe, AFileSystemThatKeepsNoPromiseCannotHoldAStore) {
  using Lie = Liar::Lie;
  for (const auto& [lie, text] : {std::pair{Lie::kLinkReplaces, "link replaces"},
                                  {Lie::kRenameKeeps, "still there"},
                                  {Lie::kRenameLoses, "does not replace"},
                                  {Lie::kMkdirTwice, "two jobs could both claim"}}) {
    StoreOnDisk disk("probe");
    disk.attempt("a");
    Liar files(disk.files(), lie);
    Scratch scratch(files, disk.path());
    ASSERT_EQ(scratch.open().verdict, Verdict::kOk);
    const auto check = probe_durability(files, scratch.path(), "x");
    EXPECT_EQ(exit_code(check.code), 2) << text;
    EXPECT_THAT(check.text, HasSubstr(text));
  }
}

TEST(Probe, WhatOneCheckpointTakesIsThatOfTheNewestThatCanBeTold) {
  StoreOnDisk disk("probe");
  EXPECT_EQ(look_at_kept(disk.files(), disk.path()).checkpoint_bytes, std::nullopt);
  disk.attempt("a");
  disk.checkpoint({1, 10}, 1);
  disk.checkpoint({1, 20}, 3);
  const auto whole = look_at_kept(disk.files(), disk.path());
  EXPECT_EQ(whole.count, 2);
  ASSERT_TRUE(whole.checkpoint_bytes);
  fs::remove(checkpoint_path(disk.path(), {1, 20}) + "/manifest.json");
  const auto older = look_at_kept(disk.files(), disk.path());
  ASSERT_TRUE(older.checkpoint_bytes);
  EXPECT_LT(*older.checkpoint_bytes, *whole.checkpoint_bytes);
}

TEST(Probe, FileSystemsAreNamed) {
  EXPECT_EQ(file_system_type("/nowhere/at/all"), "an unknown file system");
  EXPECT_THAT(file_system_type("/proc"), HasSubstr("file system 0x9fa0"));
  EXPECT_EQ(free_bytes("/nowhere/at/all"), std::nullopt);
  EXPECT_TRUE(free_bytes("/"));
}

}  // namespace
}  // namespace lockstep
