#include "coordinator/probe.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "coordinator/amounts.h"
#include "coordinator/catalog.h"
#include "coordinator/examine.h"
#include "coordinator/lineage.h"

namespace lockstep {

namespace {

std::string parent_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

std::string advice_for(ErrorCode code) {
  return code == ErrorCode::kIo ? "check its owner, mode and mount: the job must be able to write"
                                : "see `store:` in the configuration";
}

std::string contents(const StoreView& view) {
  return count_text(view.attempts.size(), "attempt") + ", " +
         count_text(view.checkpoints.size(), "checkpoint");
}

}  // namespace

Check Scratch::open() {
  const std::string name = "store";
  try {
    const auto view = scan_store(files_, store_);
    if (!view.exists && !view.can_be_made)
      return Check::error(
          name, ErrorCode::kInvalidConfig, "neither " + store_ + " nor the folder for it is there",
          "make the folder, or mount its file system: mkdir -p " + parent_of(store_));
    const auto folder = view.exists ? store_ : parent_of(store_);
    auto path = folder + "/.doctor-" + random_hex(16);
    files_.claim_folder(path);
    path_ = std::move(path);
    return Check::ok(name, store_ + (view.exists ? ": " + contents(view) : ": will be made") +
                               "; on " + file_system_type(folder));
  } catch (const Error& e) {
    return Check::error(name, e.code(), e.what(), advice_for(e.code()));
  }
}

Scratch::~Scratch() {
  if (path_.empty()) return;
  try {
    for (const auto& entry : files_.list(path_))
      entry.kind == EntryKind::kFolder ? files_.remove_folder(path_ + "/" + entry.name)
                                       : files_.unlink(path_ + "/" + entry.name);
    files_.remove_folder(path_);
  } catch (const Error&) {
    return;  // its name is foreign to a store: it means nothing to anybody
  }
}

namespace {

void write_file(FileSystem& files, const std::string& path, const std::string& text) {
  const auto file = files.create(path);
  file->append(std::as_bytes(std::span(text)));
  file->finish();
}

// sync_folder takes a refusal for success, since a save must not fail by it: here it is the point.
std::string refused_folder_sync(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return std::generic_category().message(errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error == 0 ? "" : std::generic_category().message(error);
}

// What does not hold; "" where all does. Throws Error where a step fails.
std::string broken_promise(FileSystem& files, const std::string& at) {
  write_file(files, at + ".a", "new");
  write_file(files, at + ".b", "old");
  if (files.link(at + ".a", at + ".b")) return "link replaces a name that is there";
  files.rename(at + ".a", at + ".b");
  if (files.info(at + ".a")) return "a renamed file is still there";
  if (read_small_file(files, at + ".b") != "new") return "rename does not replace the old file";
  if (!files.link(at + ".b", at + ".c")) return "link makes no name";
  if (!files.claim_folder(at + ".d")) return "mkdir makes no folder";
  if (files.claim_folder(at + ".d")) return "mkdir makes a folder twice: two jobs could both claim";
  files.rename(at + ".d", at + ".e");
  files.sync_folder(parent_of(at));
  return "";
}

}  // namespace

Check probe_durability(FileSystem& files, const std::string& scratch, const std::string& name) {
  const std::string what = "durability";
  try {
    if (const auto broken = broken_promise(files, scratch + "/" + name); !broken.empty())
      return Check::error(what, ErrorCode::kMismatch, broken,
                          "this file system can't hold a store: name one on a local disk, NFS, "
                          "Lustre or the like");
  } catch (const Error& e) {
    return Check::error(what, e.code(), e.what(),
                        advice_after(e.what(),
                                     "a store needs fsync, rename, link and mkdir: name another "
                                     "file system, or mend this one"));
  }
  if (const auto refused = refused_folder_sync(scratch); !refused.empty())
    return Check::warning(what, "fsync of a folder is refused: " + refused,
                          "after a power cut the last commits may be gone: prefer a file system "
                          "that can");
  return Check::ok(what, "fsync of files and folders, rename, link, mkdir");
}

Check probe_direct_io(const std::string& scratch, const std::string& name) {
  constexpr std::size_t kBlock = 4096;
  const auto path = scratch + "/" + name + ".direct";
  const auto refused = [](int error) {
    const auto why = std::generic_category().message(error);
    return Check::warning(
        "direct I/O", "O_DIRECT is refused: " + why,
        advice_after(
            why,
            "saves and loads go through the page cache: several times slower for ranks that load "
            "side by side"));
  };
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) return refused(errno);
  const std::unique_ptr<void, decltype(&std::free)> block(std::aligned_alloc(kBlock, kBlock),
                                                          &std::free);
  if (block == nullptr) {
    ::close(fd);
    throw std::bad_alloc();
  }
  std::fill_n(static_cast<char*>(block.get()), kBlock, 'x');
  const auto wrote = ::pwrite(fd, block.get(), kBlock, 0);
  const int error = wrote < 0 ? errno : 0;
  ::close(fd);
  if (error != 0) return refused(error);
  return Check::ok("direct I/O", "O_DIRECT works");
}

Check probe_clock(FileSystem& files, const std::string& scratch) {
  const std::string name = "file clock";
  try {
    const auto path = scratch + "/clock";
    write_file(files, path, "x");
    const auto info = files.info(path);
    if (!info) return Check::ok(name, "the file is gone again");
    auto check =
        judge_clock("the file server's",
                    std::difftime(static_cast<std::time_t>(info->modified_s), std::time(nullptr)));
    check.name = name;
    return check;
  } catch (const Error& e) {
    return Check::error(name, e.code(), e.what(), advice_after(e.what(), advice_for(e.code())));
  }
}

std::optional<std::uint64_t> free_bytes(const std::string& folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  if (error) return std::nullopt;
  return space.available;
}

std::string file_system_type(const std::string& folder) {
  // statfs(2) and linux/magic.h; Lustre, GPFS and BeeGFS by their sources.
  constexpr std::array<std::pair<std::uint32_t, const char*>, 15> kNames = {{
      {0xEF53, "ext4"},
      {0x58465342, "xfs"},
      {0x9123683E, "btrfs"},
      {0x01021994, "tmpfs"},
      {0x794C7630, "overlay"},
      {0xF2F52010, "f2fs"},
      {0x2FC12FC1, "zfs"},
      {0xCA451A4E, "bcachefs"},
      {0x6969, "nfs"},
      {0x0BD00BD0, "lustre"},
      {0x65735546, "fuse"},
      {0x47504653, "gpfs"},
      {0x19830326, "beegfs"},
      {0xFF534D42, "cifs"},
      {0x00C36400, "ceph"},
  }};
  struct statfs status {};
  if (::statfs(folder.c_str(), &status) != 0) return "an unknown file system";
  const auto type = static_cast<std::uint32_t>(status.f_type);
  for (const auto& [magic, text] : kNames)
    if (magic == type) return text;
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "file system 0x%x", type);
  return text.data();
}

Kept look_at_kept(const FileSystem& files, const std::string& store) {
  Kept kept;
  try {
    auto view = scan_store(files, store);
    const auto lineage = newest_lineage(view).checkpoints;
    kept.count = static_cast<std::int64_t>(lineage.size());
    for (const auto& id : lineage) {
      const auto found = examine(files, store, *view.checkpoint(id), Depth::kManifest);
      if (!found.manifest) continue;
      kept.checkpoint_bytes = found.bytes;
      break;
    }
  } catch (const Error&) {
    return kept;  // the check of the store says so
  }
  return kept;
}

}  // namespace lockstep
