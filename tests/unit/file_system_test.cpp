#include "common/file_system.h"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::error_of;
using testing::Fault;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::Op;
using ::testing::Pair;
using ::testing::StartsWith;
using testing::TemporaryFolder;

std::span<const std::byte> bytes_of_text(const std::string& text) {
  return std::as_bytes(std::span(text));
}

void write_plain(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

std::string read_plain(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0);
  return status.st_mode & 07777U;
}

class PosixFileSystem : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::unique_ptr<FileSystem> owned = make_posix_file_system();
  FileSystem& files = *owned;
};

TEST_F(PosixFileSystem, WhatIsWrittenIsReadBack) {
  const std::string path = folder / "f";
  const mode_t before = ::umask(0);
  const auto writer = files.create(path);
  ::umask(before);
  writer->append(bytes_of_text("abc"));
  writer->append({});
  writer->append(bytes_of_text("defg"));
  writer->finish();
  EXPECT_EQ(mode_of(path), 0640U);
  const auto reader = files.open(path);
  EXPECT_EQ(reader->size(), 7U);
  std::string part(3, ' ');
  reader->read_at(2, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "cde");
  EXPECT_EQ(read_small_file(files, path), "abcdefg");
}

TEST_F(PosixFileSystem, ReadingBeyondTheEndIsDamage) {
  write_plain(folder / "f", "abc");
  const auto reader = files.open(folder / "f");
  std::vector<std::byte> into(2);
  error_of(ErrorCode::kDamaged, [&] { reader->read_at(2, into); });
  error_of(ErrorCode::kDamaged, [&] { reader->read_at(100, into); });
  error_of(ErrorCode::kIo, [&] { reader->read_at(std::uint64_t{1} << 63U, into); });
  EXPECT_NO_THROW(reader->read_at(3, {}));
  fs::resize_file(folder / "f", 1);
  error_of(ErrorCode::kDamaged, [&] { reader->read_at(0, into); });
}

TEST_F(PosixFileSystem, AFinishedFileTakesNothingMore) {
  const auto writer = files.create(folder / "f");
  writer->finish();
  error_of(ErrorCode::kInternal, [&] { writer->finish(); });
  error_of(ErrorCode::kInternal, [&] { writer->append(bytes_of_text("x")); });
}

TEST_F(PosixFileSystem, CreateNeverTakesWhatIsThere) {
  write_plain(folder / "f", "old");
  fs::create_symlink(folder / "nowhere", folder / "dangling");
  for (const char* name : {"f", "dangling"}) {
    EXPECT_THAT(error_of(ErrorCode::kIo, [&] { files.create(folder / name); }),
                ::testing::EndsWith("/" + std::string(name) + ": File exists"));
  }
  EXPECT_EQ(read_plain(folder / "f"), "old");
  EXPECT_FALSE(fs::exists(folder / "nowhere"));
  error_of(ErrorCode::kNotFound, [&] { files.create(folder / "absent/f"); });
}

TEST_F(PosixFileSystem, OnlyRegularFilesAreOpened) {
  write_plain(folder / "f", "x");
  fs::create_symlink(folder / "f", folder / "link");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const char* name : {"absent", "link", "pipe", ".", "f/below"}) {
    const std::string path = folder / name;
    EXPECT_THAT(error_of(ErrorCode::kNotFound, [&] { files.open(path); }),
                StartsWith("open " + path + ": "))
        << name;
  }
  EXPECT_THROW(files.overwrite(folder / "link", "y"), Error);
  EXPECT_THROW(files.overwrite(folder / "pipe", "y"), Error);
  EXPECT_THROW(files.overwrite("/dev/full", "y"), Error);
  EXPECT_THROW(files.overwrite(folder.path(), "y"), Error);
  EXPECT_EQ(read_plain(folder / "f"), "x");
}

TEST_F(PosixFileSystem, DescriptorsAreNotLeftOpen) {
  const auto open_files = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), {}); };
  write_plain(folder / "f", "x");
  const auto before = open_files();
  for (int i = 0; i < 5; ++i) {
    files.open(folder / "f");
    files.create(folder / ("g" + std::to_string(i)));
    files.create(folder / ("h" + std::to_string(i)))->finish();
    files.list(folder.path());
    files.sync_folder(folder.path());
    files.overwrite(folder / "f", "y");
    EXPECT_THROW(files.open(folder.path()), Error);
    EXPECT_THROW(files.list(folder / "f"), Error);
  }
  EXPECT_EQ(open_files(), before);
}

TEST_F(PosixFileSystem, InfoIsAboutTheEntryItself) {
  write_plain(folder / "f", "abc");
  fs::create_symlink(folder / "f", folder / "link");
  const auto info = files.info(folder / "f");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->kind, EntryKind::kFile);
  EXPECT_EQ(info->bytes, 3U);
  EXPECT_EQ(info->owner, ::getuid());
  EXPECT_GT(info->modified_s, 1'500'000'000);
  EXPECT_EQ(files.info(folder / "link")->kind, EntryKind::kOther);
  EXPECT_EQ(files.info(folder.path())->kind, EntryKind::kFolder);
  EXPECT_FALSE(files.info(folder / "absent"));
  EXPECT_FALSE(files.info(folder / "f/below"));
  error_of(ErrorCode::kIo, [&] { files.info(folder / std::string(300, 'n')); });
}

TEST_F(PosixFileSystem, ListsTellKinds) {
  write_plain(folder / "b", "");
  write_plain(folder / ".hidden", "");
  fs::create_directory(folder / "a");
  fs::create_symlink(folder / "a", folder / "c");
  std::map<std::string, EntryKind> kinds;
  for (const Entry& entry : files.list(folder.path()))
    kinds.emplace(entry.name, entry.kind);
  EXPECT_THAT(kinds, ElementsAre(Pair(".hidden", EntryKind::kFile), Pair("a", EntryKind::kFolder),
                                 Pair("b", EntryKind::kFile), Pair("c", EntryKind::kOther)));
  error_of(ErrorCode::kNotFound, [&] { files.list(folder / "absent"); });
  error_of(ErrorCode::kNotFound, [&] { files.list(folder / "b"); });
  error_of(ErrorCode::kNotFound, [&] { files.list(folder / "c"); });
}

TEST_F(PosixFileSystem, AFolderIsClaimedOnceAndMadeAsOftenAsOneLikes) {
  const mode_t before = ::umask(0);
  EXPECT_TRUE(files.claim_folder(folder / "a"));
  ::umask(before);
  EXPECT_EQ(mode_of(folder / "a"), 0750U);
  EXPECT_FALSE(files.claim_folder(folder / "a"));
  EXPECT_NO_THROW(files.make_folder(folder / "a"));
  EXPECT_NO_THROW(files.make_folder(folder / "b"));
  EXPECT_TRUE(fs::is_directory(folder / "b"));
  write_plain(folder / "f", "");
  EXPECT_FALSE(files.claim_folder(folder / "f"));
  error_of(ErrorCode::kIo, [&] { files.make_folder(folder / "f"); });
  error_of(ErrorCode::kNotFound, [&] { files.make_folder(folder / "absent/a"); });
}

TEST_F(PosixFileSystem, RenamesLinksAndRemoves) {
  write_plain(folder / "a", "1");
  write_plain(folder / "b", "2");
  files.rename(folder / "a", folder / "b");
  EXPECT_EQ(read_plain(folder / "b"), "1");
  EXPECT_THAT(error_of(ErrorCode::kNotFound, [&] { files.rename(folder / "a", folder / "b"); }),
              HasSubstr(folder / "a" + " to " + (folder / "b") + ": No such file"));
  EXPECT_TRUE(files.link(folder / "b", folder / "c"));
  EXPECT_FALSE(files.link(folder / "b", folder / "c"));
  error_of(ErrorCode::kNotFound, [&] { files.link(folder / "absent", folder / "d"); });
  files.unlink(folder / "b");
  EXPECT_NO_THROW(files.unlink(folder / "b"));
  EXPECT_NO_THROW(files.unlink(folder / "c/below"));
  error_of(ErrorCode::kIo, [&] { files.unlink(folder.path()); });
  EXPECT_EQ(read_plain(folder / "c"), "1");
  error_of(ErrorCode::kIo, [&] { files.remove_folder(folder.path()); });
  files.make_folder(folder / "e");
  files.remove_folder(folder / "e");
  EXPECT_NO_THROW(files.remove_folder(folder / "e"));
  error_of(ErrorCode::kNotFound, [&] { files.remove_folder(folder / "c"); });
}

TEST_F(PosixFileSystem, SyncsFolders) {
  EXPECT_NO_THROW(files.sync_folder(folder.path()));
  EXPECT_NO_THROW(files.sync_folder("/proc"));  // EINVAL
  error_of(ErrorCode::kNotFound, [&] { files.sync_folder(folder / "absent"); });
}

TEST_F(PosixFileSystem, OverwritesInPlace) {
  files.overwrite(folder / "f", "abcdef");
  files.overwrite(folder / "f", "XY");
  EXPECT_EQ(read_plain(folder / "f"), "XYcdef");
}

// A write that the limit cuts short, and the error after it.
TEST_F(PosixFileSystem, AShortWriteIsCarriedOnAndAFullDiskIsToldNotHidden) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto writer = files.create(folder / "f");
  const std::string error =
      error_of(ErrorCode::kIo, [&] { writer->append(bytes_of_text(std::string(1500, 'x'))); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error, "write " + (folder / "f") + ": File too large");
  EXPECT_EQ(fs::file_size(folder / "f"), 1000U);
}

TEST_F(PosixFileSystem, SmallFilesHaveALimit) {
  write_plain(folder / "f", std::string(11, 'x'));
  EXPECT_EQ(read_small_file(files, folder / "f", 11).size(), 11U);
  error_of(ErrorCode::kDamaged, [&] { read_small_file(files, folder / "f", 10); });
  write_plain(folder / "empty", "");
  EXPECT_EQ(read_small_file(files, folder / "empty"), "");
}

TEST_F(PosixFileSystem, WriteDurablyReplacesAndLeavesNothingElse) {
  write_durably(files, folder / "record.json", "one");
  write_durably(files, folder / "record.json", "two");
  EXPECT_EQ(read_plain(folder / "record.json"), "two");
  EXPECT_EQ(files.list(folder.path()).size(), 1U);
}

TEST_F(PosixFileSystem, WriteDurablyLeavesTheOldContentWhereAnyOfItsStepsFails) {
  FaultFileSystem faulty(files);
  write_durably(faulty, folder / "record.json", "old");
  for (const Op op : {Op::kCreate, Op::kAppend, Op::kFinish, Op::kRename}) {
    faulty.fail_next(op);
    error_of(ErrorCode::kIo, [&] { write_durably(faulty, folder / "record.json", "new"); });
    EXPECT_EQ(read_plain(folder / "record.json"), "old");
    EXPECT_EQ(files.list(folder.path()).size(), 1U) << "the temporary file is still there";
  }
  faulty.fail_next(Op::kSyncFolder);
  error_of(ErrorCode::kIo, [&] { write_durably(faulty, folder / "record.json", "new"); });
  EXPECT_EQ(faulty.fired(), 5);
}

TEST_F(PosixFileSystem, WriteDurablySyncsTheFileBeforeTheRenameAndTheFolderAfter) {
  FaultFileSystem faulty(files);
  faulty.fail_next(Op::kFinish);
  EXPECT_THROW(write_durably(faulty, folder / "r", "x"), Error);
  EXPECT_EQ(faulty.calls(Op::kRename), 0);
  EXPECT_EQ(faulty.calls(Op::kUnlink), 1);
  faulty.fail_next(Op::kRename);
  EXPECT_THROW(write_durably(faulty, folder / "r", "x"), Error);
  EXPECT_EQ(faulty.calls(Op::kSyncFolder), 0);
  write_durably(faulty, folder / "r", "x");
  EXPECT_EQ(faulty.calls(Op::kSyncFolder), 1);
}

TEST(RandomHex, GivesAsManyHexDigitsAsAskedForNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = random_hex(32);
    EXPECT_EQ(text.size(), 32U);
    EXPECT_TRUE(is_hex(text));
    EXPECT_TRUE(seen.insert(text).second);
  }
  EXPECT_EQ(random_hex(0), "");
  EXPECT_EQ(random_hex(7).size(), 7U);
}

}  // namespace
}  // namespace lockstep
