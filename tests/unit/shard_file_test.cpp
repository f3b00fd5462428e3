// The shard writer and reader on real files, without MPI.

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/names.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/staged.h"
#include "tests/support/test_state.h"
#include "worker/shard_reader.h"
#include "worker/shard_writer.h"

namespace lockstep {
namespace {

using testing::Fault;
using testing::FaultFileSystem;
using testing::Op;
using testing::read_staged;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr int kReadsOfAHeader = 1;

// One rank's state: 9 MiB of F32 behind one odd byte, so that elements lie across block borders.
class ShardFile : public ::testing::Test {
 protected:
  ShardFile() {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    for (std::size_t i = 0; i < floats.size(); ++i)
      floats[i] = static_cast<float>(i);
    const auto odd_elements = static_cast<std::int64_t>(odd.size());
    const auto float_elements = static_cast<std::int64_t>(floats.size());
    state.sections = {
        {{{"buffer.odd", Dtype::kU8, {odd_elements}}}, Dtype::kU8, odd_elements, true, odd.data()},
        {{{"model.w", Dtype::kF32, {float_elements}}},
         Dtype::kF32,
         float_elements,
         true,
         reinterpret_cast<std::byte*>(floats.data())}};
    manifest.checkpoint = {3, 1200};
    describe_state(state, 1, manifest);
  }

  void write() {
    const auto receipt = write_shard(files, folder, manifest, state, {0, 1});
    manifest.shards = {{shard_file({0, 1}), receipt.bytes, receipt.header_digest}};
    manifest.finite = receipt.finite;
  }

  Pages read() const {
    return read_staged(files, folder, manifest, plan_reads(manifest, expected_pieces(manifest, 0)));
  }

  void expect_read_back() const { expect_all(read()); }

  void expect_all(const Pages& pages) const {
    const auto staging = pages.all();
    ASSERT_EQ(staging.size(), 1 + floats.size() * sizeof(float));
    EXPECT_EQ(staging[0], odd[0]);
    EXPECT_EQ(std::memcmp(&staging[1], floats.data(), staging.size() - 1), 0);
  }

  std::string error_of(ErrorCode code, const std::function<void()>& run) const {
    try {
      run();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      return e.what();
    }
    return "no error";
  }

  SafetensorsHeader header() const { return read_safetensors_header(*real->open(path), "shard"); }

  const std::string folder = "shard-file";
  const std::string path = folder + "/" + shard_file({0, 1});
  std::unique_ptr<FileSystem> real = make_posix_file_system();
  mutable FaultFileSystem files{*real};
  std::vector<std::byte> odd{std::byte{42}};
  std::vector<float> floats = std::vector<float>(9 * kMiB / sizeof(float));
  StateView state;
  Manifest manifest;
};

TEST_F(ShardFile, IsWhatItsHeaderAndTheReceiptSay) {
  write();
  EXPECT_TRUE(manifest.finite);
  EXPECT_EQ(std::filesystem::file_size(path), manifest.shards[0].bytes);
  const auto head = header();
  const auto shard = describe_shard(head, "shard");
  check_shard(manifest, 0, head, shard, manifest.shards[0].bytes, "shard");
  EXPECT_EQ(head.data_bytes, 9 * kMiB + 1);
  EXPECT_EQ(head.data_begin % kDataAlignment, 0U);
  EXPECT_EQ(shard.checksums.size(), 3U);
  expect_read_back();
}

// Several reads in flight: the seam with planted faults serves one thread.
TEST_F(ShardFile, ThreadsReadTheSameToAnyPlace) {
  write();
  const auto pieces = expected_pieces(manifest, 0);
  expect_all(read_staged(*real, folder, manifest, plan_reads(manifest, pieces)));
  // Without the odd byte before them the floats lie across blocks.
  const auto half = static_cast<std::int64_t>(floats.size() / 2);
  for (const Piece& piece :
       {Piece{"model.w", Dtype::kF32, 0, 2 * half}, Piece{"model.w", Dtype::kF32, half, half}}) {
    const auto pages = read_staged(*real, folder, manifest, plan_reads(manifest, {{piece}}));
    ASSERT_EQ(pages.all().size(), static_cast<std::size_t>(piece.count) * sizeof(float));
    EXPECT_EQ(std::memcmp(pages.all().data(), &floats[static_cast<std::size_t>(piece.first)],
                          pages.all().size()),
              0);
  }
}

TEST_F(ShardFile, ThreadsSeeAFlippedBitInAnyBlock) {
  for (const std::uintmax_t at : {0, 5, 8}) {
    std::filesystem::remove(path);
    write();
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    const auto place = static_cast<std::streamoff>(header().data_begin + at * kMiB + 77);
    char byte = 0;
    file.seekg(place).get(byte);
    file.seekp(place).put(static_cast<char>(byte ^ 4)).flush();
    const auto text = error_of(ErrorCode::kDamaged, [&] {
      read_staged(*real, folder, manifest, plan_reads(manifest, expected_pieces(manifest, 0)));
    });
    EXPECT_TRUE(text.starts_with("3@1200: shard 0: checksum of block " + std::to_string(at / 4)))
        << text;
  }
}

// Notes how deep in at_work() files are opened and made.
class WorkNotingFiles : public FaultFileSystem {
 public:
  using FaultFileSystem::FaultFileSystem;
  std::shared_ptr<void> at_work() const override {
    ++depth_;
    return std::shared_ptr<void>(&depth_, [](int* depth) { --*depth; });
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    opened_at_work = depth_ == 1;
    return FaultFileSystem::open(path);
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    made_at_work = depth_ == 1;
    return FaultFileSystem::create(path);
  }
  mutable bool opened_at_work = false;
  bool made_at_work = false;

 private:
  mutable int depth_ = 0;
};

// A rank whose threads hang in the kernel is to blame, and not those that wait for it.
TEST_F(ShardFile, IsWrittenAndReadAsWorkOfTheCallingThread) {
  WorkNotingFiles noting(*real);
  const auto receipt = write_shard(noting, folder, manifest, state, {0, 1});
  EXPECT_TRUE(noting.made_at_work);
  manifest.shards = {{shard_file({0, 1}), receipt.bytes, receipt.header_digest}};
  read_staged(noting, folder, manifest, plan_reads(manifest, expected_pieces(manifest, 0)));
  EXPECT_TRUE(noting.opened_at_work);
}

// What all ranks wait for comes first, wherever it lies in the shard.
TEST_F(ShardFile, WhatIsSharedIsReadFirst) {
  write();
  Pages staging(9 * kMiB + 1);
  const auto all = staging.all();
  // Blocks 0 and 1 hold none of it, the last one does.
  const Places places({{all.first(8 * kMiB + 77)}, {all.subspan(8 * kMiB + 77), true}});
  ReadProgress progress;
  std::vector<std::uint64_t> done_at;
  progress.shared_done = [&] { done_at.push_back(progress.steps); };
  read_shards(files, folder, manifest, plan_reads(manifest, expected_pieces(manifest, 0)), places,
              progress);
  EXPECT_EQ(done_at, std::vector<std::uint64_t>{1});
  EXPECT_EQ(progress.steps, 3U);
  expect_all(staging);

  progress.given_up = true;
  EXPECT_EQ(error_of(ErrorCode::kIo,
                     [&] {
                       read_shards(files, folder, manifest,
                                   plan_reads(manifest, expected_pieces(manifest, 0)), places,
                                   progress);
                     }),
            "given up");
}

TEST_F(ShardFile, AStretchIsReadFromTheBlocksThatHoldItAlone) {
  write();
  const auto before = files.calls(Op::kReadAt);
  const std::vector<Piece> wanted = {{"model.w", Dtype::kF32, 5 * kMiB / 4, 1000}};
  const auto pages = read_staged(files, folder, manifest, plan_reads(manifest, wanted));
  ASSERT_EQ(pages.all().size(), 4000U);
  EXPECT_EQ(std::memcmp(pages.all().data(), &floats[5 * kMiB / 4], 4000), 0);
  EXPECT_EQ(files.calls(Op::kReadAt) - before, kReadsOfAHeader + 1);
}

TEST_F(ShardFile, AFlippedBitInAnyBlockIsNamedByItsBlock) {
  write();
  const auto shard = describe_shard(header(), "shard");
  for (std::size_t block = 0; block < 3; ++block) {
    auto copy = std::vector<std::byte>(std::min(4 * kMiB, 9 * kMiB + 1 - block * 4 * kMiB));
    real->open(path)->read_at(header().data_begin + block * 4 * kMiB, copy);
    copy[copy.size() / 2] ^= std::byte{1};
    files.fault_next(Op::kReadAt, Fault::kFlipBit, kReadsOfAHeader + static_cast<int>(block) + 1);
    EXPECT_EQ(error_of(ErrorCode::kDamaged, [&] { read(); }),
              "3@1200: shard 0: checksum of block " + std::to_string(block) + " is " +
                  hex64(checksum64(copy)) + ", expected " + hex64(shard.checksums[block]));
    files.clear();
  }
  expect_read_back();
}

TEST_F(ShardFile, NotFiniteElementsAreSeenAtEveryBorder) {
  const float infinity = -std::numeric_limits<float>::infinity();
  // Behind the odd byte, elements 1048575 and 2097151 lie across the borders of blocks.
  for (const std::size_t at :
       {std::size_t{0}, kMiB - 2, kMiB - 1, kMiB, 2 * kMiB - 1, floats.size() - 1}) {
    const float kept = floats[at];
    floats[at] = infinity;
    std::filesystem::remove(path);
    write();
    EXPECT_FALSE(manifest.finite) << at;
    floats[at] = kept;
  }
}

TEST_F(ShardFile, AFailedFsyncHasTheFileWrittenAnewOnce) {
  files.fail_next(Op::kFinish);
  write();
  EXPECT_EQ(files.calls(Op::kCreate), 2);
  EXPECT_EQ(files.calls(Op::kUnlink), 1);
  EXPECT_EQ(files.calls(Op::kFinish), 2);
  expect_read_back();
}

TEST_F(ShardFile, ASecondFailedFsyncIsTheError) {
  files.fail_when(Op::kFinish, "shard-");
  EXPECT_EQ(error_of(ErrorCode::kIo, [&] { write(); }), "planted fault: " + path);
  EXPECT_EQ(files.calls(Op::kFinish), 2);
}

TEST_F(ShardFile, AFailedWriteIsNotTriedAgain) {
  files.fault_next(Op::kWriteAt, Fault::kHalfThenThrow);
  EXPECT_EQ(error_of(ErrorCode::kIo, [&] { write(); }), "planted fault: " + path);
  EXPECT_EQ(files.calls(Op::kCreate), 1);
}

TEST_F(ShardFile, WhatCantBeReadIsTriedThreeTimesAndThenNamed) {
  write();
  for (const auto op : {Op::kOpen, Op::kReadAt}) {
    files.fail_next(op);
    files.fail_next(op, ErrorCode::kIo, 2);
    expect_read_back();
    const auto opened = files.calls(Op::kOpen);
    files.fail_when(op, "shard-");
    EXPECT_EQ(error_of(ErrorCode::kIo, [&] { read(); }), "3@1200: shard 0: planted fault: " + path);
    EXPECT_EQ(files.calls(Op::kOpen) - opened, 3);
    files.clear();
  }
}

TEST_F(ShardFile, OneThatIsNotThereNowIsMissingOnlyAfterAFreshLook) {
  write();
  files.fail_next(Op::kOpen, ErrorCode::kNotFound);
  expect_read_back();
  files.fail_when(Op::kOpen, "shard-", ErrorCode::kNotFound);
  EXPECT_EQ(error_of(ErrorCode::kIo, [&] { read(); }), "3@1200: shard 0: planted fault: " + path);
  files.clear();
  std::filesystem::remove(path);
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [&] { read(); }), "3@1200: shard 0: missing");
}

TEST_F(ShardFile, OneWhoseFolderComesBackAtOnceIsNotMissing) {
  write();
  std::filesystem::rename(folder, folder + ".trash");
  std::thread sleeper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::filesystem::rename(folder + ".trash", folder);
  });
  expect_read_back();
  sleeper.join();
}

TEST_F(ShardFile, OnlyARegularFileIsAShard) {
  write();
  std::filesystem::rename(path, folder + "/aside");
  std::filesystem::create_directory(path);
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [&] { read(); }), "3@1200: shard 0: not a regular file");
  std::filesystem::remove(path);
  std::filesystem::create_symlink("aside", path);
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [&] { read(); }), "3@1200: shard 0: not a regular file");
}

TEST(Receipt, TravelsUnchangedInFewerThan64Bytes) {
  static_assert(kReceiptBytes <= 64);
  for (const bool finite : {false, true}) {
    const auto back = decode_receipt(
        encode_receipt({std::uint64_t{1} << 60, "0123456789abcdef0123456789abcdef", finite}));
    EXPECT_EQ(back.bytes, std::uint64_t{1} << 60);
    EXPECT_EQ(back.header_digest, "0123456789abcdef0123456789abcdef");
    EXPECT_EQ(back.finite, finite);
  }
  EXPECT_THROW(encode_receipt({1, "short", true}), Error);
}

}  // namespace
}  // namespace lockstep
