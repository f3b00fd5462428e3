#include "common/posix_writer.h"

#include <atomic>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace lockstep {

using posix::Descriptor;
using posix::fail;
using posix::is_direct_aligned;
using posix::kDirectFile;
using posix::kDirectFrom;
using posix::open_direct;
using posix::retried;
using posix::transfer_direct;
using posix::write_all;

namespace {

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(Descriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  void append(std::span<const std::byte> bytes) override {
    need_open();
    write_all(bytes.size(), path_, [&](std::size_t done, std::size_t size) {
      return ::write(file_.get(), bytes.data() + done, size);
    });
  }

  void reserve(std::uint64_t bytes) override {
    need_open();
    if (!std::in_range<off_t>(bytes)) fail("reserve", path_, EFBIG);
    const auto size = static_cast<off_t>(bytes);
    if (size == 0) return;
    const int rc = retried([&] { return ::fallocate(file_.get(), 0, 0, size); });
    // NFS before 4.2 and most of FUSE can't: there it is as long, and space is taken as it is
    // written.
    if (rc != 0 && errno != EOPNOTSUPP && errno != ENOSYS) fail("reserve", path_, errno);
    if (rc != 0 && retried([&] { return ::ftruncate(file_.get(), size); }) != 0)
      fail("reserve", path_, errno);
    if (bytes < kDirectFile) return;
    direct_ = open_direct(file_, O_WRONLY);
    takes_direct_ = direct_.get() >= 0;
  }

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    need_open();
    if (!std::in_range<off_t>(offset + bytes.size())) fail("write", path_, EFBIG);
    const auto done = direct_part(offset, bytes);
    bytes = bytes.subspan(done);
    offset += done;
    write_all(bytes.size(), path_, [&](std::size_t at, std::size_t size) {
      return ::pwrite(file_.get(), bytes.data() + at, size, static_cast<off_t>(offset + at));
    });
  }

  bool went_direct() const override { return went_direct_; }

  // The descriptors are gone afterwards, whatever happens, so nobody can fsync them again. Each is
  // asked: FUSE keeps a failed write for the one that it came through.
  void finish() override {
    need_open();
    Descriptor direct = std::exchange(direct_, Descriptor());
    Descriptor file = std::exchange(file_, Descriptor());
    if (direct.get() >= 0) finish(std::move(direct));
    finish(std::move(file));
  }

 private:
  void finish(Descriptor file) const {
    if (retried([&] { return ::fsync(file.get()); }) != 0) fail("fsync", path_, errno);
    // Linux has closed the descriptor when close is interrupted.
    if (::close(file.release()) != 0 && errno != EINTR) fail("close", path_, errno);
  }

  void need_open() const {
    if (file_.get() < 0) throw Error(ErrorCode::kInternal, "write " + path_ + ": it is finished");
  }

  // How much was written past the page cache: all whole units, or up to where that is refused.
  std::size_t direct_part(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (!takes_direct_ || bytes.size() < kDirectFrom ||
        !is_direct_aligned(offset, bytes.data(), kDirectAlignment))
      return 0;
    const auto whole = bytes.size() / kDirectAlignment * kDirectAlignment;
    const auto done = transfer_direct(
        whole, takes_direct_,
        [&](std::size_t at) {
          return ::pwrite(direct_.get(), bytes.data() + at, whole - at,
                          static_cast<off_t>(offset + at));
        },
        [&](ssize_t wrote) { fail("write", path_, wrote < 0 ? errno : ENOSPC); });
    if (done > 0) went_direct_ = true;
    return done;
  }

  Descriptor file_;
  std::string path_;
  Descriptor direct_;
  std::atomic<bool> takes_direct_ = false;  // until it is refused
  std::atomic<bool> went_direct_ = false;
};

}  // namespace

std::unique_ptr<WritableFile> write_posix_file(Descriptor file, std::string path) {
  return std::make_unique<PosixWritableFile>(std::move(file), std::move(path));
}

}  // namespace lockstep
