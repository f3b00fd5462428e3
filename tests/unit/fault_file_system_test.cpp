#include "tests/support/fault_file_system.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/file_system.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::Fault;
using testing::FaultFileSystem;
using testing::Op;
using testing::TemporaryFolder;

const std::span<const std::byte> kText = std::as_bytes(std::span("abcd", 4));

void write_plain(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

std::string read_plain(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class FaultyFiles : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::unique_ptr<FileSystem> real = make_posix_file_system();
  FaultFileSystem faulty{*real};
};

TEST_F(FaultyFiles, FailAtTheNthCallAndOnlyThere) {
  faulty.fail_next(Op::kInfo, ErrorCode::kIo, 3);
  EXPECT_NO_THROW(faulty.info("/"));
  EXPECT_NO_THROW(faulty.info("/"));
  error_of(ErrorCode::kIo, [&] { faulty.info("/"); });
  EXPECT_NO_THROW(faulty.info("/"));
  EXPECT_EQ(faulty.calls(Op::kInfo), 4);
  EXPECT_EQ(faulty.fired(Op::kInfo), 1);
}

TEST_F(FaultyFiles, FailByPathUntilCleared) {
  write_plain(folder / "shard-1", "x");
  write_plain(folder / "shard-2", "x");
  faulty.fail_when(Op::kOpen, "shard-1", ErrorCode::kNotFound);
  EXPECT_NO_THROW(faulty.open(folder / "shard-2"));
  error_of(ErrorCode::kNotFound, [&] { faulty.open(folder / "shard-1"); });
  error_of(ErrorCode::kNotFound, [&] { faulty.open(folder / "shard-1"); });
  faulty.clear();
  EXPECT_NO_THROW(faulty.open(folder / "shard-1"));
  EXPECT_EQ(faulty.fired(), 2);
}

TEST_F(FaultyFiles, AlterWhatIsReadAndWritten) {
  write_plain(folder / "f", "abcd");
  faulty.fault_next(Op::kReadAt, Fault::kFlipBit);
  EXPECT_EQ(read_small_file(faulty, folder / "f"), "abbd");
  EXPECT_EQ(read_small_file(faulty, folder / "f"), "abcd");
  faulty.fault_next(Op::kReadAt, Fault::kShortRead);
  error_of(ErrorCode::kDamaged, [&] { read_small_file(faulty, folder / "f"); });

  faulty.fault_next(Op::kAppend, Fault::kSilentTruncate);
  const auto cut = faulty.create(folder / "cut");
  cut->append(kText);
  cut->finish();
  EXPECT_EQ(read_plain(folder / "cut"), "ab");

  faulty.fault_next(Op::kAppend, Fault::kHalfThenThrow, 1, "full");
  faulty.create(folder / "other")->append(kText);
  const auto full = faulty.create(folder / "full");
  error_of(ErrorCode::kIo, [&] { full->append(kText); });
  EXPECT_EQ(read_plain(folder / "full"), "ab");
  EXPECT_EQ(read_plain(folder / "other"), "abcd");
}

TEST_F(FaultyFiles, MayHaveDoneWhatTheySayFailed) {
  write_plain(folder / "a", "x");
  faulty.fault_next(Op::kRename, Fault::kDoneThenThrow);
  error_of(ErrorCode::kIo, [&] { faulty.rename(folder / "a", folder / "b"); });
  EXPECT_TRUE(fs::exists(folder / "b"));
  faulty.fail_next(Op::kRename);
  error_of(ErrorCode::kIo, [&] { faulty.rename(folder / "b", folder / "c"); });
  EXPECT_TRUE(fs::exists(folder / "b"));
}

}  // namespace
}  // namespace lockstep
