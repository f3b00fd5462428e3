#include "common/file_system.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <sys/random.h>
#include <sys/types.h>

#include "common/error.h"

namespace lockstep {
namespace {

constexpr std::size_t kNonceDigits = 16;

// A path's folder, with the slash at its end; "./" where it names none.
std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

std::string name_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

void unlink_if_possible(FileSystem& files, const std::string& path) noexcept {
  try {
    files.unlink(path);
  } catch (const std::exception&) {  // the error before this one is the one to report
    return;
  }
}

}  // namespace

std::string read_small_file(const FileSystem& files, const std::string& path,
                            std::uint64_t limit_bytes) {
  const auto file = files.open(path);
  if (file->size() > limit_bytes) {
    throw Error(ErrorCode::kDamaged, "read " + path + ": it has " + std::to_string(file->size()) +
                                         " bytes, more than " + std::to_string(limit_bytes));
  }
  std::string text(file->size(), '\0');
  file->read_at(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void write_durably(FileSystem& files, const std::string& path, const std::string& text) {
  const std::string folder = folder_of(path);
  const std::string temporary =
      folder + "." + name_of(path) + "." + random_hex(kNonceDigits) + ".tmp";
  try {
    const auto file = files.create(temporary);
    file->append(std::as_bytes(std::span(text)));
    file->finish();
    files.rename(temporary, path);
  } catch (const std::exception&) {
    unlink_if_possible(files, temporary);
    throw;
  }
  files.sync_folder(folder);
}

std::string follow_links(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error);
  if (error) throw Error(ErrorCode::kIo, path + ": " + error.message());
  return real.string();
}

std::string random_hex(std::size_t digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(digits, '\0');
  for (std::size_t filled = 0; filled < digits;) {
    const ssize_t got = getrandom(text.data() + filled, digits - filled, 0);
    if (got < 0 && errno != EINTR) {
      throw Error(ErrorCode::kIo, "getrandom: " + std::generic_category().message(errno));
    }
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  for (char& c : text)
    c = kDigits[static_cast<unsigned char>(c) % kDigits.size()];
  return text;
}

}  // namespace lockstep
