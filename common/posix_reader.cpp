#include "common/posix_reader.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>

namespace lockstep {

using posix::Descriptor;
using posix::fail;
using posix::is_direct_aligned;
using posix::kDirectFile;
using posix::kDirectFrom;
using posix::kMaxTransferBytes;
using posix::open_direct;
using posix::retried;
using posix::transfer_direct;

namespace {

// The kernel says of a stranger's file that all of it is cached.
bool may_ask_for_cache(const struct stat& status) {
  return ::geteuid() == 0 || ::geteuid() == status.st_uid;
}

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(Descriptor file, std::string path, const struct stat& status)
      : file_(std::move(file)),
        path_(std::move(path)),
        bytes_(static_cast<std::uint64_t>(status.st_size)),
        direct_(bytes_ < kDirectFile ? Descriptor() : open_direct(file_, O_RDONLY)),
        takes_direct_(direct_.get() >= 0),
        may_ask_for_cache_(may_ask_for_cache(status)) {}

  std::uint64_t size() const override { return bytes_; }

  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    if (goes_direct(offset, into)) {
      const auto done =
          read_direct(offset, into.first(into.size() / kDirectAlignment * kDirectAlignment));
      offset += done;
      into = into.subspan(done);
    }
    while (!into.empty()) {
      const auto got = transfer(file_, offset, into);
      if (got < 0) fail("read", path_, errno);
      const auto bytes = some(static_cast<std::size_t>(got), offset, into);
      into = into.subspan(bytes);
      offset += bytes;
    }
  }

 private:
  bool goes_direct(std::uint64_t offset, std::span<std::byte> into) const {
    return takes_direct_ && into.size() >= kDirectFrom &&
           is_direct_aligned(offset, into.data(), kDirectAlignment) &&
           !is_cached(offset, into.size());
  }

  // mincore(2) by way of a mapping, which reads nothing: 10 us for 4 MiB, where reading them from
  // the disk takes a thousand.
  bool is_cached(std::uint64_t offset, std::size_t bytes) const {
    if (!may_ask_for_cache_ || offset + bytes > bytes_) return false;
    void* const mapped =
        ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file_.get(), static_cast<off_t>(offset));
    if (mapped == MAP_FAILED) return false;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages((bytes + page - 1) / page);
    const bool told = ::mincore(mapped, bytes, pages.data()) == 0;
    ::munmap(mapped, bytes);
    return told && std::ranges::all_of(pages, [](unsigned char in) { return (in & 1U) != 0; });
  }

  std::size_t read_direct(std::uint64_t offset, std::span<std::byte> into) const {
    return transfer_direct(
        into.size(), takes_direct_,
        [&](std::size_t done) { return transfer(direct_, offset + done, into.subspan(done)); },
        [&](ssize_t got) {
          if (got < 0) fail("read", path_, errno);
          some(0, offset, into);
        });
  }

  ssize_t transfer(const Descriptor& from, std::uint64_t offset, std::span<std::byte> into) const {
    if (!std::in_range<off_t>(offset)) fail("read", path_, EOVERFLOW);
    const auto piece = std::min(into.size(), kMaxTransferBytes);
    return retried(
        [&] { return ::pread(from.get(), into.data(), piece, static_cast<off_t>(offset)); });
  }

  std::size_t some(std::size_t got, std::uint64_t offset, std::span<std::byte> into) const {
    if (got == 0)
      throw Error(ErrorCode::kDamaged, "read " + path_ + ": it ends before byte " +
                                           std::to_string(offset + into.size()));
    return got;
  }

  Descriptor file_;
  std::string path_;
  std::uint64_t bytes_;
  Descriptor direct_;
  mutable std::atomic<bool> takes_direct_;  // until it is refused
  bool may_ask_for_cache_;
};

}  // namespace

std::unique_ptr<ReadableFile> read_posix_file(Descriptor file, std::string path,
                                              const struct stat& status) {
  return std::make_unique<PosixReadableFile>(std::move(file), std::move(path), status);
}

}  // namespace lockstep
