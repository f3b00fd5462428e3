#include "coordinator/config_file.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "coordinator/config_text.h"

namespace lockstep {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail_system(const std::string& name, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      throw Error(ErrorCode::kInvalidConfig, name + ": there is no such file");
    case EACCES:
    case EPERM:
      throw Error(ErrorCode::kInvalidConfig, name + ": not allowed to read it");
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
      throw Error(ErrorCode::kInvalidConfig, name + ": " + std::generic_category().message(error));
    default:
      throw Error(ErrorCode::kIo,
                  name + ": can't be read: " + std::generic_category().message(error));
  }
}

std::string kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  return "a device or socket";
}

}  // namespace

void check_config_size(std::size_t bytes, const std::string& name) {
  if (bytes > kMostBytes) {
    throw Error(ErrorCode::kInvalidConfig, name + ": larger than 1 MiB; is it the configuration?");
  }
}

std::string read_config_file(const std::string& path) {
  const std::string name = escaped(path);
  if (path.find('\0') != std::string::npos) fail_system(name, ENOENT);
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.fd() < 0) fail_system(name, errno);
  struct stat status = {};
  if (::fstat(file.fd(), &status) != 0) fail_system(name, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidConfig,
                name + ": " + kind_of(status.st_mode) + ", not a regular file");
  }
  check_config_size(static_cast<std::size_t>(status.st_size), name);
  std::string text(kMostBytes + 1, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t count = ::read(file.fd(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_system(name, errno);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  check_config_size(filled, name);
  text.resize(filled);
  return text;
}

}  // namespace lockstep
