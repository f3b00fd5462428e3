// Large transfers of the real file system: past the page cache where that is possible, and right
// always.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file_system.h"
#include "common/pages.h"
#include "common/posix_calls.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kBytes = 9 * kMiB + 1234;  // its end is no multiple of anything

std::byte byte_at(std::uint64_t place) {
  return static_cast<std::byte>((place * 2654435761U) >> 13U);
}

// An open descriptor, for what only the kernel knows.
class Opened {
 public:
  Opened(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

void write_file(const fs::path& path) {
  std::vector<char> bytes(kBytes);
  for (std::size_t i = 0; i < kBytes; ++i)
    bytes[i] = static_cast<char>(byte_at(i));
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(kBytes));
}

void forget_pages(const fs::path& path) {
  const Opened file(path, O_RDONLY);
  ASSERT_EQ(::fsync(file.get()), 0);
  ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
}

std::size_t cached_pages(const fs::path& path) {
  const Opened file(path, O_RDONLY);
  void* const mapped = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file.get(), 0);
  EXPECT_NE(mapped, MAP_FAILED);
  std::vector<unsigned char> pages((kBytes + 4095) / 4096);
  EXPECT_EQ(::mincore(mapped, kBytes, pages.data()), 0);
  ::munmap(mapped, kBytes);
  return static_cast<std::size_t>(
      std::ranges::count_if(pages, [](unsigned char in) { return (in & 1U) != 0; }));
}

bool takes_direct(const fs::path& path) {
  return Opened(path, O_RDONLY | O_DIRECT).get() >= 0;
}

void expect_bytes(std::span<const std::byte> found, std::uint64_t from) {
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_EQ(found[i], byte_at(from + i)) << "byte " << from + i;
}

class LargeTransfers : public ::testing::TestWithParam<std::string> {
 protected:
  LargeTransfers() : path(GetParam() + "/lockstep-large-read-" + std::to_string(::getpid())) {
    write_file(path);
  }
  ~LargeTransfers() override { fs::remove(path); }

  const fs::path path;
  std::unique_ptr<FileSystem> files = make_posix_file_system();
};

TEST_P(LargeTransfers, GiveTheSameBytesWhereverTheyBeginAndGo) {
  const Pages memory(kBytes + 4096);
  for (const std::uint64_t from : {0, 4096, 1, 4095})
    for (const std::size_t shift : {0, 64})
      for (const std::size_t bytes : {kBytes - from, 4 * kMiB, kMiB, kMiB - 1, std::size_t{100}})
        for (const bool cached : {false, true}) {
          if (!cached) forget_pages(path);
          const auto into = memory.all().subspan(shift, bytes);
          std::ranges::fill(into, std::byte{0});
          files->open(path)->read_at(from, into);
          expect_bytes(into, from);
        }
}

TEST_P(LargeTransfers, BeyondTheEndAreDamage) {
  const Pages memory(2 * kBytes);
  for (const std::uint64_t from :
       {std::uint64_t{0}, std::uint64_t{8 * kMiB}, std::uint64_t{1} << 40U})
    for (const bool cached : {false, true}) {
      if (!cached) forget_pages(path);
      try {
        files->open(path)->read_at(from, memory.all().first(kBytes + 1));
        ADD_FAILURE() << from;
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::kDamaged) << e.what();
      }
    }
}

TEST_P(LargeTransfers, WhatIsWrittenInAnyOrderIsRead) {
  const Pages memory(kBytes);
  const auto bytes = memory.all();
  for (std::size_t i = 0; i < kBytes; ++i)
    bytes[i] = byte_at(i);
  // The head last, as a shard's; pieces that begin, lie and end at no multiple of 4096.
  for (const std::size_t head : {4096, 4097}) {
    fs::remove(path);
    const auto file = files->create(path);
    file->reserve(kBytes);
    for (std::size_t at = head; at < kBytes; at += 4 * kMiB)
      file->write_at(at, bytes.subspan(at, std::min(4 * kMiB, kBytes - at)));
    file->write_at(0, bytes.first(head));
    file->finish();
    ASSERT_EQ(fs::file_size(path), kBytes);
    forget_pages(path);
    const Pages back(kBytes);
    files->open(path)->read_at(0, back.all());
    expect_bytes(back.all(), 0);
  }
}

// /dev/shm refuses on old kernels, and never forgets a page.
INSTANTIATE_TEST_SUITE_P(OnDiskAndInMemory, LargeTransfers, ::testing::Values(".", "/dev/shm"));

// What a file system may answer, one call after the other: bytes, or minus an errno.
std::size_t moved_by(const std::vector<int>& answers, std::atomic<bool>& takes_direct) {
  std::size_t calls = 0;
  return posix::transfer_direct(
      16384, takes_direct,
      [&](std::size_t) -> ssize_t {
        const int answer = answers.at(calls++);
        errno = answer < 0 ? -answer : 0;
        return answer < 0 ? -1 : answer;
      },
      [](ssize_t result) { throw Error(ErrorCode::kIo, std::to_string(result)); });
}

TEST(DirectTransfer, GoesOnUntilItIsRefusedOrNoLongerAligned) {
  std::atomic<bool> takes_direct = true;
  EXPECT_EQ(moved_by({4096, -EINTR, 12288}, takes_direct), 16384U);
  EXPECT_EQ(moved_by({4096, 100}, takes_direct), 4196U) << "the rest is for the cache";
  EXPECT_THROW(moved_by({4096, -EIO}, takes_direct), Error);
  EXPECT_THROW(moved_by({4096, 0}, takes_direct), Error);
  EXPECT_TRUE(takes_direct);
  for (const int refusal : {-EINVAL, -ENOTSUP}) {
    takes_direct = true;
    EXPECT_EQ(moved_by({4096, refusal}, takes_direct), 4096U);
    EXPECT_FALSE(takes_direct);
  }
}

class OnDisk : public LargeTransfers {};

TEST_P(OnDisk, LeaveThePageCacheAlone) {
  if (!takes_direct(path)) GTEST_SKIP() << "this file system refuses O_DIRECT";
  forget_pages(path);
  const Pages memory(8 * kMiB);
  files->open(path)->read_at(0, memory.all());
  expect_bytes(memory.all(), 0);
  EXPECT_EQ(cached_pages(path), 0U);
}

// What this process has had read from the disk.
std::uint64_t read_from_disk() {
  std::ifstream io("/proc/self/io");
  for (std::string name; io >> name;)
    if (std::uint64_t bytes = 0; name == "read_bytes:" && io >> bytes) return bytes;
  ADD_FAILURE() << "/proc/self/io says nothing";
  return 0;
}

TEST_P(OnDisk, TakeWhatIsCachedFromThere) {
  const Pages memory(8 * kMiB);
  for (const bool cached : {true, false}) {
    if (!cached) forget_pages(path);
    const auto before = read_from_disk();
    files->open(path)->read_at(0, memory.all());
    expect_bytes(memory.all(), 0);
    EXPECT_EQ(read_from_disk() - before >= 8 * kMiB, !cached);
  }
}

TEST_P(OnDisk, WritesLeaveThePageCacheAlone) {
  if (!takes_direct(path)) GTEST_SKIP() << "this file system refuses O_DIRECT";
  fs::remove(path);
  const Pages memory(8 * kMiB);
  const auto file = files->create(path);
  file->reserve(8 * kMiB);
  file->write_at(4 * kMiB, memory.all().subspan(4 * kMiB));
  file->write_at(0, memory.all().first(4 * kMiB));
  file->finish();
  EXPECT_EQ(cached_pages(path), 0U);
}

// A limit of its own is as near to a full disk as a test gets without one.
TEST_P(OnDisk, AFileThatCantBeThatLargeIsAnErrorBeforeItIsWritten) {
  fs::remove(path);
  const auto file = files->create(path);
  try {
    file->reserve(std::uint64_t{1} << 60U);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_TRUE(std::string(e.what()).starts_with("reserve " + path.string())) << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Here, OnDisk, ::testing::Values("."));

}  // namespace
}  // namespace lockstep
