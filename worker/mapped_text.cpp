#include "worker/mapped_text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <sys/mman.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/posix_calls.h"

namespace lockstep {

namespace {

constexpr std::size_t kMostFiles = 16'384;  // Linux lets a process have 65,530 mappings
constexpr std::size_t kLookedAt = 4096;     // bytes, for a NUL

bool is_hidden(const std::filesystem::path& path) {
  return path.filename().native().starts_with('.');
}

std::vector<std::string> files_below(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> found;
  try {
    for (fs::recursive_directory_iterator entry(folder), end; entry != end; ++entry) {
      const bool hidden = is_hidden(entry->path());
      if (entry->is_symlink()) continue;
      if (entry->is_directory() && hidden) entry.disable_recursion_pending();
      if (entry->is_regular_file() && !hidden) found.push_back(entry->path().native());
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kIo, "read " + error.path1().native() + ": " + error.code().message());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace

MappedText::MappedText(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) posix::fail("read", path, errno);
  const bool is_folder = S_ISDIR(status.st_mode);
  for (const auto& file : is_folder ? files_below(path) : std::vector<std::string>{path})
    map_file(file);
  if (files_.empty())
    throw Error(ErrorCode::kNotFound, path + (is_folder ? ": no text file is below this folder"
                                                        : ": is empty, or holds no text"));
}

MappedText::~MappedText() {
  for (const auto file : files_)
    ::munmap(const_cast<std::byte*>(file.data()), file.size());
}

void MappedText::map_file(const std::string& path) {
  const posix::Descriptor fd(
      posix::retried([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) posix::fail("read", path, errno);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::kIo, path + ": is no file and no folder");
  if (status.st_size == 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (memory == MAP_FAILED) posix::fail("map", path, errno);
  if (std::memchr(memory, 0, std::min(size, kLookedAt)) != nullptr) {
    ::munmap(memory, size);
    return;
  }
  files_.emplace_back(static_cast<const std::byte*>(memory), size);
  ends_.push_back((ends_.empty() ? 0 : ends_.back()) + static_cast<std::int64_t>(size));
  if (files_.size() > kMostFiles)
    throw Error(ErrorCode::kInvalidConfig,
                path + ": more than " + std::to_string(kMostFiles) +
                    " files of text up to this one; put them together into fewer");
}

std::string MappedText::digest() const {
  std::string digests;
  for (const auto file : files_)
    digests += digest128(file);
  return digest128(digests);
}

void MappedText::copy(std::int64_t first, std::span<std::uint8_t> into) const {
  auto file = static_cast<std::size_t>(std::ranges::upper_bound(ends_, first) - ends_.begin());
  while (!into.empty()) {
    const auto begin = file == 0 ? 0 : ends_[file - 1];
    const auto rest = files_[file].subspan(static_cast<std::size_t>(first - begin));
    const auto count = std::min(rest.size(), into.size());
    std::memcpy(into.data(), rest.data(), count);
    into = into.subspan(count);
    first += static_cast<std::int64_t>(count);
    ++file;
  }
}

}  // namespace lockstep
