// block_log IMAGE EVENTS FOLDER: serves IMAGE as FOLDER/disk, a file for a loop device to lie on,
// and appends to EVENTS, in the order in which they came, what a disk would see:
//
//   write   bytes at an offset
//   zeros   the same, of zeros: what was discarded reads so afterwards
//   flush   all writes before it are durable now
//   mark    a text that was written to FOLDER/marks: what was known outside at this moment
//
// An event is its kind (1 byte), offset and length (8 bytes each, little endian), and where it is a
// write or a mark its bytes. One thread serves all, so a mark lies behind everything that had
// reached the disk when the writer of the mark began. A write with FUA comes as a write and a
// flush. Until FOLDER is unmounted it stays in the foreground. To be mounted by root.

#define FUSE_USE_VERSION 31
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include <fcntl.h>
#include <fuse3/fuse.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr std::string_view kDisk = "/disk";
constexpr std::string_view kMarks = "/marks";
constexpr mode_t kMode = 0600;

enum class Kind : std::uint8_t { kWrite = 1, kZeros, kFlush, kMark };

struct [[gnu::packed]] Header {
  Kind kind;
  std::uint64_t offset;
  std::uint64_t length;
};
static_assert(sizeof(Header) == 17);

struct Log {
  int image = -1;
  int events = -1;
  off_t bytes = 0;
};

Log& state() {
  return *static_cast<Log*>(fuse_get_context()->private_data);
}

// Without its log the disk is of no use: an event that can't be noted fails the call.
int note(Kind kind, off_t offset, std::size_t length, const char* bytes = nullptr) {
  Header header{kind, static_cast<std::uint64_t>(offset), length};
  const std::size_t body = bytes == nullptr ? 0 : length;
  const std::array<iovec, 2> parts{{{&header, sizeof(header)}, {const_cast<char*>(bytes), body}}};
  const auto wrote = ::writev(state().events, parts.data(), static_cast<int>(parts.size()));
  return wrote == static_cast<ssize_t>(sizeof(header) + body) ? 0 : -EIO;
}

int get_attributes(const char* path, struct stat* found, fuse_file_info* /*file*/) {
  *found = {};
  found->st_nlink = 1;
  found->st_mode = S_IFREG | kMode;
  if (path == std::string_view("/")) {
    found->st_mode = S_IFDIR | S_IRWXU;
  } else if (path == kDisk) {
    found->st_size = state().bytes;
  } else if (path != kMarks) {
    return -ENOENT;
  }
  return 0;
}

int open_file(const char* path, fuse_file_info* file) {
  if (path != kDisk && path != kMarks) return -ENOENT;
  file->direct_io = path == kMarks ? 1 : 0;  // each mark is one event
  return 0;
}

int read_file(const char* path, char* into, std::size_t size, off_t offset, fuse_file_info* /*f*/) {
  if (path == kMarks) return 0;
  const auto done = ::pread(state().image, into, size, offset);
  return done < 0 ? -errno : static_cast<int>(done);
}

int write_file(const char* path, const char* bytes, std::size_t size, off_t offset,
               fuse_file_info* /*file*/) {
  int failed = 0;
  if (path == kMarks) {
    failed = note(Kind::kMark, 0, size, bytes);
  } else {
    const auto done = ::pwrite(state().image, bytes, size, offset);
    failed = done == static_cast<ssize_t>(size) ? note(Kind::kWrite, offset, size, bytes) : -EIO;
  }
  return failed != 0 ? failed : static_cast<int>(size);
}

int flush_disk(const char* path, int /*data_only*/, fuse_file_info* /*file*/) {
  return path == kDisk ? note(Kind::kFlush, 0, 0) : 0;
}

// How a loop device passes on that blocks are discarded, or zeroed.
int allocate(const char* path, int mode, off_t offset, off_t length, fuse_file_info* /*file*/) {
  if (path != kDisk || (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0)
    return -EOPNOTSUPP;
  if (::fallocate(state().image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) != 0)
    return -errno;
  return note(Kind::kZeros, offset, static_cast<std::size_t>(length));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: block_log IMAGE EVENTS FOLDER\n", stderr);
    return 2;
  }
  Log log;
  log.image = ::open(argv[1], O_RDWR | O_CLOEXEC);
  log.events = ::open(argv[2], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, kMode);
  struct stat found {};
  if (log.image < 0 || log.events < 0 || ::fstat(log.image, &found) != 0) {
    std::perror("block_log");
    return 3;
  }
  log.bytes = found.st_size;

  fuse_operations operations{};
  operations.getattr = get_attributes;
  operations.open = open_file;
  operations.read = read_file;
  operations.write = write_file;
  operations.fsync = flush_disk;
  operations.fallocate = allocate;
  std::array<char*, 4> arguments{argv[0], argv[3], const_cast<char*>("-f"),
                                 const_cast<char*>("-s")};
  return fuse_main(static_cast<int>(arguments.size()), arguments.data(), &operations, &log);
}
