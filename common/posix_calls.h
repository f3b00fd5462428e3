#pragma once

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "common/error.h"

// What the sources that make system calls on files share.
namespace lockstep::posix {

constexpr std::size_t kMaxTransferBytes = std::size_t{1} << 30;  // Linux stops just below 2^31

[[noreturn]] inline void fail(std::string_view operation, const std::string& path, int error) {
  const bool absent = error == ENOENT || error == ENOTDIR || error == ELOOP;
  const std::string cause = error == ELOOP ? "it is a link, and links are not followed here"
                                           : std::generic_category().message(error);
  throw Error(absent ? ErrorCode::kNotFound : ErrorCode::kIo,
              std::string(operation) + " " + path + ": " + cause);
}

template <typename Call>
auto retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR)
    result = call();
  return result;
}

// An open file descriptor, or none (-1).
class Descriptor {
 public:
  Descriptor() noexcept : Descriptor(-1) {}
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace lockstep::posix
