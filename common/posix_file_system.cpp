#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file_system.h"
#include "common/posix_calls.h"
#include "common/posix_reader.h"
#include "common/posix_writer.h"

namespace lockstep {

using posix::Descriptor;
using posix::fail;
using posix::retried;
using posix::write_all;

namespace {

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0640;
// O_NONBLOCK: a pipe must not make the opener wait; regular files do not care.
constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

Descriptor open_at(const std::string& path, int flags, std::string_view operation) {
  const int fd = retried([&] { return ::open(path.c_str(), flags | kAlways, kFileMode); });
  if (fd < 0) fail(operation, path, errno);
  return Descriptor(fd);
}

struct stat status_of(const Descriptor& file, const std::string& path, std::string_view operation) {
  struct stat status {};
  if (retried([&] { return ::fstat(file.get(), &status); }) != 0) fail(operation, path, errno);
  return status;
}

struct stat regular_status(const Descriptor& file, const std::string& path,
                           std::string_view operation) {
  const struct stat status = status_of(file, path, operation);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kNotFound,
                std::string(operation) + " " + path + ": it is no regular file");
  }
  return status;
}

EntryKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return EntryKind::kFile;
  return S_ISDIR(mode) ? EntryKind::kFolder : EntryKind::kOther;
}

EntryKind kind_of_entry(DIR* folder, const dirent& entry) {
  if (entry.d_type == DT_REG) return EntryKind::kFile;
  if (entry.d_type == DT_DIR) return EntryKind::kFolder;
  if (entry.d_type != DT_UNKNOWN) return EntryKind::kOther;
  struct stat status {};
  const int rc = ::fstatat(::dirfd(folder), entry.d_name, &status, AT_SYMLINK_NOFOLLOW);
  return rc == 0 ? kind_of(status.st_mode) : EntryKind::kOther;
}

struct CloseFolder {
  void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

class PosixFileSystem final : public FileSystem {
 public:
  std::optional<FileInfo> info(const std::string& path) const override {
    struct stat status {};
    if (retried([&] { return ::lstat(path.c_str(), &status); }) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      fail("stat", path, errno);
    }
    return FileInfo{.kind = kind_of(status.st_mode),
                    .bytes = static_cast<std::uint64_t>(status.st_size),
                    .modified_s = status.st_mtim.tv_sec,
                    .owner = status.st_uid};
  }

  bool serves_threads() const override { return true; }

  bool is_network(const std::string& folder) const override {
    // The magic numbers of the kernel's local file systems (statfs(2)); whatever is none of these
    // may be shared with other machines.
    constexpr std::array<std::uint32_t, 8> kLocal = {
        0xEF53,      // ext2, ext3, ext4
        0x58465342,  // xfs
        0x9123683E,  // btrfs
        0x01021994,  // tmpfs
        0x794C7630,  // overlay
        0xF2F52010,  // f2fs
        0x2FC12FC1,  // zfs
        0xCA451A4E,  // bcachefs
    };
    struct statfs status {};
    if (retried([&] { return ::statfs(folder.c_str(), &status); }) != 0) return true;
    const auto type = static_cast<std::uint32_t>(status.f_type);
    return std::find(kLocal.begin(), kLocal.end(), type) == kLocal.end();
  }

  std::vector<Entry> list(const std::string& folder) const override {
    Descriptor file = open_at(folder, O_RDONLY | O_DIRECTORY, "list");
    const std::unique_ptr<DIR, CloseFolder> open_folder(::fdopendir(file.get()));
    if (open_folder == nullptr) fail("list", folder, errno);
    file.release();
    std::vector<Entry> entries;
    errno = 0;
    // Nobody else reads from this DIR.
    while (const dirent* entry = ::readdir(open_folder.get())) {  // NOLINT(concurrency-mt-unsafe)
      std::string name = entry->d_name;
      if (name != "." && name != "..") {
        entries.push_back(
            {.name = std::move(name), .kind = kind_of_entry(open_folder.get(), *entry)});
      }
      errno = 0;
    }
    if (errno != 0) fail("list", folder, errno);
    return entries;
  }

  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    Descriptor file = open_at(path, O_RDONLY, "open");
    const struct stat status = regular_status(file, path, "open");
    return read_posix_file(std::move(file), path, status);
  }

  void make_folder(const std::string& path) override {
    if (claim_folder(path)) return;
    const auto there = info(path);
    if (!there || there->kind != EntryKind::kFolder) fail("mkdir", path, EEXIST);
  }

  bool claim_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), kFolderMode) == 0) return true;
    if (errno != EEXIST) fail("mkdir", path, errno);
    return false;
  }

  std::unique_ptr<WritableFile> create(const std::string& path) override {
    return write_posix_file(open_at(path, O_WRONLY | O_CREAT | O_EXCL, "create"), path);
  }

  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) fail("rename", from + " to " + to, errno);
  }

  bool link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return true;
    if (errno != EEXIST) fail("link", from + " to " + to, errno);
    return false;
  }

  void unlink(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
      fail("unlink", path, errno);
    }
  }

  void remove_folder(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) fail("rmdir", path, errno);
  }

  void sync_folder(const std::string& path) override {
    const Descriptor folder = open_at(path, O_RDONLY | O_DIRECTORY, "fsync");
    const int rc = retried([&] { return ::fsync(folder.get()); });
    if (rc != 0 && errno != EINVAL && errno != ENOTSUP) fail("fsync", path, errno);
  }

  void write_into(const std::string& path, std::uint64_t offset, const std::string& text) override {
    if (!std::in_range<off_t>(offset + text.size())) fail("write", path, EFBIG);
    const Descriptor file = open_at(path, O_WRONLY | O_CREAT, "open");
    regular_status(file, path, "open");
    write_all(text.size(), path, [&](std::size_t done, std::size_t size) {
      return ::pwrite(file.get(), text.data() + done, size, static_cast<off_t>(offset + done));
    });
  }
};

}  // namespace

std::unique_ptr<FileSystem> make_posix_file_system() {
  return std::make_unique<PosixFileSystem>();
}

}  // namespace lockstep
