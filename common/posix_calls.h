#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file_system.h"

// What the sources that make system calls on files share.
namespace lockstep::posix {

constexpr std::size_t kMaxTransferBytes = std::size_t{1} << 30;  // Linux stops just below 2^31

// What a full disk is called is the first thing to look for in a log, whatever the C library says.
inline std::string cause_text(int error) {
  switch (error) {
    case ELOOP:
      return "it is a link, and links are not followed here";
    case ENOSPC:
      return "no space left on device";
    case EDQUOT:
      return "no space left: disk quota exceeded";
    default:
      return std::generic_category().message(error);
  }
}

[[noreturn]] inline void fail(std::string_view operation, const std::string& path, int error) {
  const bool absent = error == ENOENT || error == ENOTDIR || error == ELOOP;
  throw Error(absent ? ErrorCode::kNotFound : ErrorCode::kIo,
              std::string(operation) + " " + path + ": " + cause_text(error));
}

template <typename Call>
auto retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR)
    result = call();
  return result;
}

// `transfer(offset, size)` writes as write(2) does, and says how much it took.
template <typename Transfer>
void write_all(std::size_t size, const std::string& path, Transfer transfer) {
  for (std::size_t done = 0; done < size;) {
    const std::size_t piece = std::min(size - done, kMaxTransferBytes);
    const ssize_t wrote = retried([&] { return transfer(done, piece); });
    if (wrote < 0) fail("write", path, errno);
    if (wrote == 0) fail("write", path, ENOSPC);
    done += static_cast<std::size_t>(wrote);
  }
}

// An open file descriptor, or none (-1).
class Descriptor {
 public:
  Descriptor() noexcept : Descriptor(-1) {}
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    Descriptor old(std::exchange(fd_, other.release()));
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// From what size on a file, and in it a transfer, goes past the page cache: below, a second
// descriptor and what a direct transfer must ask for first cost more than they bring.
constexpr std::uint64_t kDirectFile = std::uint64_t{4} << 20;
constexpr std::uint64_t kDirectFrom = std::uint64_t{1} << 20;

// The same file once more, past the page cache (O_DIRECT); by the descriptor, since the path may
// name another one by now. None where the file system refuses, or /proc is not there.
inline Descriptor open_direct(const Descriptor& file, int access) {
  const auto again = "/proc/self/fd/" + std::to_string(file.get());
  return Descriptor(retried([&] { return ::open(again.c_str(), access | O_DIRECT | O_CLOEXEC); }));
}

inline bool is_direct_aligned(std::uint64_t offset, const void* address, std::size_t alignment) {
  return offset % alignment == 0 && reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
}

// How much of `size` bytes went past the page cache: all, or up to where the file system refuses to
// go on so, which `takes_direct` then says. `transfer(done)` moves the bytes behind those, as
// pread(2) and pwrite(2) do; `ended(result)` throws what an error means, or no bytes at all.
template <typename Transfer, typename Ended>
std::size_t transfer_direct(std::size_t size, std::atomic<bool>& takes_direct, Transfer transfer,
                            Ended ended) {
  std::size_t done = 0;
  while (done < size && done % kDirectAlignment == 0) {
    const ssize_t moved = retried([&] { return transfer(done); });
    if (moved < 0 && (errno == EINVAL || errno == ENOTSUP)) {
      takes_direct = false;
      break;
    }
    if (moved <= 0) ended(moved);
    done += static_cast<std::size_t>(moved);
  }
  return done;
}

}  // namespace lockstep::posix
