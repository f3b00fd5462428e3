#include "coordinator/status/text_file.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

namespace lockstep {

namespace {

[[noreturn]] void fail(const std::string& path) {
  throw Error(ErrorCode::kIo, path + ": " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
}

bool write_all(int descriptor, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto done = ::write(descriptor, text.data() + at, text.size() - at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += static_cast<std::size_t>(done);
  }
  return true;
}

// What a mistyped path may lead to: a device, the configuration, a store's record.
void require_own(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return;
  std::array<char, kTextFileMark.size()> begin{};
  bool own = S_ISREG(found.st_mode) && found.st_size == 0;
  if (S_ISREG(found.st_mode) && !own) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) fail(path);
    const auto got = ::read(descriptor, begin.data(), begin.size());
    ::close(descriptor);
    own = got == static_cast<ssize_t>(begin.size()) &&
          std::string_view(begin.data(), begin.size()) == kTextFileMark;
  }
  if (!own)
    throw Error(ErrorCode::kInvalidConfig,
                path + ": something else is there, and stays: name another path");
}

// The file that becomes the other one: hidden, beside it.
std::string hidden_beside(const std::string& path) {
  const auto slash = path.rfind('/') + 1;  // 0 where there is none
  return path.substr(0, slash) + "." + path.substr(slash) + "." + std::to_string(::getpid()) +
         ".tmp";
}

void write_hidden(const std::string& path, const std::string& text) {
  const auto hidden = hidden_beside(path);
  constexpr mode_t kMode = 0644;
  ::unlink(hidden.c_str());
  const int descriptor =
      ::open(hidden.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kMode);
  if (descriptor < 0) fail(path);
  ::fchmod(descriptor, kMode);  // whatever the umask says: another user's collector reads it
  int why = write_all(descriptor, text) ? 0 : errno;
  // A file system may say at close that it is full.
  if (::close(descriptor) != 0 && why == 0) why = errno;
  if (why == 0) return;
  ::unlink(hidden.c_str());
  errno = why;
  fail(path);
}

}  // namespace

void replace_text_file(const std::string& path, const std::string& text) {
  require_own(path);
  write_hidden(path, text);
  const auto hidden = hidden_beside(path);
  if (std::rename(hidden.c_str(), path.c_str()) == 0) return;
  const int why = errno;
  ::unlink(hidden.c_str());
  errno = why;
  fail(path);
}

void try_text_file(const std::string& path) {
  require_own(path);
  write_hidden(path, std::string(kTextFileMark));
  ::unlink(hidden_beside(path).c_str());
}

}  // namespace lockstep
