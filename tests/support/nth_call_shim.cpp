// Preloaded into the ranks of a job: one call of a rank on files of the store fails, or each from
// that one on. Unlike an injection of strace's a short transfer moves its part, and paths are told
// by the store they lie in.
//
// LOCKSTEP_NTH is "PHASE CALL ERROR N" or "PHASE CALL ERROR N+" (each from the N-th on):
//   PHASE  save: from the first call on a .partial on; load: until then; any: both
//   CALL   a name that `on_path` or `on_descriptor` is called with below
//   ERROR  the errno, or 0: half of what was asked for is transferred
// LOCKSTEP_NTH_RANK is the rank, empty for a job without a launcher; LOCKSTEP_NTH_STORE is the
// store. Each call in the phase is a line of LOCKSTEP_NTH_NOTE: its name, its path, and "failed"
// where it was made to.

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/support/preloaded.h"

namespace {

using lockstep::testing::real;
using lockstep::testing::variable;

enum class Fate { kAsIs, kFails, kShort };

class Plan {
 public:
  Plan() {
    std::string n;
    std::istringstream(variable("LOCKSTEP_NTH")) >> phase_ >> call_ >> error_ >> n;
    active_ = !n.empty() && variable("LOCKSTEP_NTH_RANK") == variable("OMPI_COMM_WORLD_RANK");
    if (!active_) return;
    n_ = std::stol(n);
    goes_on_ = n.ends_with('+');
    store_ = variable("LOCKSTEP_NTH_STORE");
    note_ = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, variable("LOCKSTEP_NTH_NOTE").c_str(),
                                       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (note_ < 0) std::abort();
  }

  // errno is set where it fails.
  Fate of(std::string_view call, std::string_view path) {
    if (!active_ || !path.starts_with(store_)) return Fate::kAsIs;
    const std::lock_guard lock(mutex_);
    saves_ = saves_ || path.find(".partial") != std::string_view::npos;
    if (phase_ != "any" && saves_ != (phase_ == "save")) return Fate::kAsIs;
    const bool counts = call == call_;
    if (counts) ++seen_;
    const bool due = counts && (goes_on_ ? seen_ >= n_ : seen_ == n_);
    const auto line = std::string(call) + " " + std::string(path) + (due ? " failed\n" : "\n");
    ::syscall(SYS_write, note_, line.data(), line.size());
    if (!due) return Fate::kAsIs;
    if (error_ == 0) return Fate::kShort;
    errno = error_;
    return Fate::kFails;
  }

  bool is_for(std::string_view call) const { return active_ && call == call_; }

 private:
  std::string phase_, call_, store_;
  int error_ = 0;
  long n_ = 0;
  bool goes_on_ = false;
  bool active_ = false;
  int note_ = -1;
  std::mutex mutex_;
  bool saves_ = false;
  long seen_ = 0;
};

Plan& plan() {
  static Plan made;
  return made;
}

std::string path_of(int fd) {
  const auto link = "/proc/self/fd/" + std::to_string(fd);
  std::array<char, 4096> path{};
  const auto size = ::syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), path.data(), path.size());
  return size < 0 ? "" : std::string(path.data(), static_cast<std::size_t>(size));
}

// What is opened anew by its descriptor is the same file.
Fate on_path(std::string_view call, std::string_view path) {
  constexpr std::string_view kDescriptors = "/proc/self/fd/";
  if (!path.starts_with(kDescriptors)) return plan().of(call, path);
  return plan().of(call, path_of(std::atoi(path.data() + kDescriptors.size())));
}

Fate on_descriptor(std::string_view call, int fd) {
  const int kept = errno;
  const auto path = path_of(fd);
  errno = kept;
  return plan().of(call, path);
}

// Past the page cache a transfer may be refused, which is no error.
Fate on_transfer(const char* call, const char* direct_call, int fd) {
  const bool direct = (::fcntl(fd, F_GETFL) & O_DIRECT) != 0;
  return on_descriptor(direct ? direct_call : call, fd);
}

std::size_t taken(Fate fate, std::size_t size) {
  return fate == Fate::kShort ? (size + 1) / 2 : size;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : mode_t{0};
  va_end(more);
  const bool direct = (flags & O_DIRECT) != 0;
  const char* call = direct ? "open_direct" : (flags & O_CREAT) != 0 ? "create" : "open";
  if (on_path(call, path) == Fate::kFails) return -1;
  return real<int(const char*, int, ...)>("open")(path, flags, mode);
}

// Linux has closed the descriptor, whatever it answers.
int close(int fd) {
  const bool reads = (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
  const auto fate = on_descriptor(reads ? "close_read" : "close", fd);
  const int error = errno;
  const int done = real<int(int)>("close")(fd);
  if (fate == Fate::kAsIs) return done;
  errno = error;
  return -1;
}

ssize_t read(int fd, void* into, std::size_t size) {
  const auto fate = on_transfer("read", "read_direct", fd);
  if (fate == Fate::kFails) return -1;
  return real<ssize_t(int, void*, std::size_t)>("read")(fd, into, taken(fate, size));
}

ssize_t pread(int fd, void* into, std::size_t size, off_t at) {
  const auto fate = on_transfer("pread", "pread_direct", fd);
  if (fate == Fate::kFails) return -1;
  return real<ssize_t(int, void*, std::size_t, off_t)>("pread")(fd, into, taken(fate, size), at);
}

ssize_t write(int fd, const void* from, std::size_t size) {
  const auto fate = on_transfer("write", "write_direct", fd);
  if (fate == Fate::kFails) return -1;
  return real<ssize_t(int, const void*, std::size_t)>("write")(fd, from, taken(fate, size));
}

ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) {
  const auto fate = on_transfer("pwrite", "pwrite_direct", fd);
  if (fate == Fate::kFails) return -1;
  return real<ssize_t(int, const void*, std::size_t, off_t)>("pwrite")(fd, from, taken(fate, size),
                                                                       at);
}

// ftruncate is what stands in for it on a file system that has no fallocate.
int fallocate(int fd, int mode, off_t at, off_t size) {
  if (on_descriptor("fallocate", fd) == Fate::kFails) return -1;
  if (plan().is_for("ftruncate")) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return real<int(int, int, off_t, off_t)>("fallocate")(fd, mode, at, size);
}

int ftruncate(int fd, off_t size) noexcept {
  if (on_descriptor("ftruncate", fd) == Fate::kFails) return -1;
  return real<int(int, off_t)>("ftruncate")(fd, size);
}

int fsync(int fd) {
  if (on_descriptor("fsync", fd) == Fate::kFails) return -1;
  return real<int(int)>("fsync")(fd);
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (on_path("mkdir", path) == Fate::kFails) return -1;
  return real<int(const char*, mode_t)>("mkdir")(path, mode);
}

int rename(const char* from, const char* to) noexcept {
  if (on_path("rename", from) == Fate::kFails) return -1;
  return real<int(const char*, const char*)>("rename")(from, to);
}

int link(const char* from, const char* to) noexcept {
  if (on_path("link", from) == Fate::kFails) return -1;
  return real<int(const char*, const char*)>("link")(from, to);
}

int unlink(const char* path) noexcept {
  if (on_path("unlink", path) == Fate::kFails) return -1;
  return real<int(const char*)>("unlink")(path);
}

int rmdir(const char* path) noexcept {
  if (on_path("rmdir", path) == Fate::kFails) return -1;
  return real<int(const char*)>("rmdir")(path);
}

char* realpath(const char* path, char* into) noexcept {
  if (on_path("realpath", path) == Fate::kFails) return nullptr;
  return real<char*(const char*, char*)>("realpath")(path, into);
}

int stat(const char* path, struct stat* into) noexcept {
  if (on_path("stat", path) == Fate::kFails) return -1;
  return real<int(const char*, struct stat*)>("stat")(path, into);
}

int lstat(const char* path, struct stat* into) noexcept {
  if (on_path("stat", path) == Fate::kFails) return -1;
  return real<int(const char*, struct stat*)>("lstat")(path, into);
}

int fstat(int fd, struct stat* into) noexcept {
  if (on_descriptor("fstat", fd) == Fate::kFails) return -1;
  return real<int(int, struct stat*)>("fstat")(fd, into);
}

int statfs(const char* path, struct statfs* into) noexcept {
  if (on_path("statfs", path) == Fate::kFails) return -1;
  return real<int(const char*, struct statfs*)>("statfs")(path, into);
}

// The same system call.
int statvfs(const char* path, struct statvfs* into) noexcept {
  if (on_path("statfs", path) == Fate::kFails) return -1;
  return real<int(const char*, struct statvfs*)>("statvfs")(path, into);
}

dirent* readdir(DIR* folder) {
  if (on_descriptor("readdir", ::dirfd(folder)) == Fate::kFails) return nullptr;
  return real<dirent*(DIR*)>("readdir")(folder);
}
}
