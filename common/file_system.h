#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

constexpr std::size_t kDirectAlignment = 4096;  // of offset, address and size

// An open regular file that is read at given places; by several threads at once where its
// FileSystem serves threads.
//
// The real one reads past the page cache (O_DIRECT) what is large, not yet in the cache, and lies
// and goes at multiples of kDirectAlignment: several such reads in flight load at the speed of the
// disk, where ranks that read through the cache side by side took three times as long. What a file
// system refuses to read so is read through the cache, with the same result.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual std::uint64_t size() const = 0;  // bytes, when it was opened
  // Fills `into` from `offset`. Error(kDamaged) where the file ends before, kIo where it can't be
  // read.
  virtual void read_at(std::uint64_t offset, std::span<std::byte> into) const = 0;
};

// A new file: appended to; or reserved and then written at given places, each byte once, by several
// threads at once where its FileSystem serves threads. The real one writes past the page cache what
// it could read so, where it is reserved.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes; a file that was not finished is worthless
  virtual void append(std::span<const std::byte> bytes) = 0;
  // Makes it that long, and takes the space where the file system can: then a full disk is an error
  // here and not halfway, and no write changes the size, so that writes needn't wait for each
  // other.
  virtual void reserve(std::uint64_t bytes) = 0;
  virtual void write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual bool went_direct() const { return false; }  // some of it past the page cache
  // fsync and close, both checked. After a failure the file must be written anew under another
  // handle, never fsynced again: the kernel has marked its pages clean (Rebello et al., ATC '20).
  virtual void finish() = 0;
};

enum class EntryKind : std::uint8_t { kFile, kFolder, kOther };

struct Entry {
  std::string name;
  EntryKind kind;  // of the entry itself: links are kOther
};

struct FileInfo {
  EntryKind kind;
  std::uint64_t bytes;
  std::int64_t modified_s;  // seconds since 1970; for people, never for decisions
  std::uint32_t owner;      // uid
};

// The file operations that lockstep makes. A seam: tests plant failures in it by operation and
// rank. All: Local. Links are never followed in the last component. Errors are lockstep::Error
// whose text names the operation, the path and the cause: kNotFound (ENOENT, ENOTDIR; links and
// whatever else is no regular file where one is opened: only a regular file counts as present), kIo
// (all else). Retries are the callers'. Where rename or link fail on a network file system they may
// have been done.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual std::optional<FileInfo> info(const std::string& path) const = 0;  // nullopt: not there
  // Whether a folder lies on a file system whose listings may be old: NFS, Lustre, FUSE and their
  // like. No error: what can't be told counts as one.
  virtual bool is_network(const std::string& /*folder*/) const { return false; }
  // Whether several threads may call the const members at once. Simulations say no: then what is
  // read comes in one order.
  virtual bool serves_threads() const { return false; }
  // For a watchdog: while the result lives, what the calling thread waits for is its own work with
  // files, done by threads of its.
  virtual std::shared_ptr<void> at_work() const { return nullptr; }
  virtual std::vector<Entry> list(
      const std::string& folder) const = 0;  // no "." and ".."; in no order
  virtual std::unique_ptr<ReadableFile> open(const std::string& path) const = 0;  // regular only

  virtual void make_folder(
      const std::string& path) = 0;  // mode 0750; one that is there is no error
  virtual bool claim_folder(const std::string& path) = 0;  // one mkdir; false: it was there
  virtual std::unique_ptr<WritableFile> create(const std::string& path) = 0;  // O_EXCL, mode 0640
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual bool link(const std::string& from, const std::string& to) = 0;  // false: it was there
  virtual void unlink(const std::string& path) = 0;                       // absent is no error
  virtual void remove_folder(const std::string& path) = 0;  // empty only; absent is no error
  // fsync of a folder; EINVAL and ENOTSUP are no errors (doctor's to say, not a failed save).
  virtual void sync_folder(const std::string& path) = 0;
  // Writes into an existing file in place, or makes it: opens, writes, closes, so that other hosts
  // see it; not synced, never shortened. May be called again where it failed.
  virtual void write_into(const std::string& path, std::uint64_t offset,
                          const std::string& text) = 0;
  void overwrite(const std::string& path, const std::string& text) { write_into(path, 0, text); }
};

// The real one.
std::unique_ptr<FileSystem> make_posix_file_system();

// Reads a whole small regular file. Error(kDamaged) above `limit_bytes`.
std::string read_small_file(const FileSystem& files, const std::string& path,
                            std::uint64_t limit_bytes = std::uint64_t{1} << 26);

// Makes `path` hold `text`, durably: a temporary name beside it (O_EXCL), fsync, rename over
// `path`, fsync of the folder. After any crash `path` holds its old content or the new one.
void write_durably(FileSystem& files, const std::string& path, const std::string& text);

// Local: `path` with its links followed as far as it is there: a store may be a link to scratch,
// while inside a store no link is followed. Error(kIo).
std::string follow_links(const std::string& path);

// Random lower-case hex digits from the kernel.
std::string random_hex(std::size_t digits);

}  // namespace lockstep
