#include "worker/idx_file.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <system_error>

#include <zlib.h>

#include "common/error.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// nullopt where the file is not there.
std::optional<Bytes> read_file(const std::string& path) {
  std::error_code unreadable;
  const auto status = std::filesystem::status(path, unreadable);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw Error(ErrorCode::kInvalidConfig, path + " is no regular file; set data.path");
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
  if (!file && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  Bytes bytes;
  std::size_t length = 0;
  if (file) {
    constexpr std::size_t kPiece = std::size_t{1} << 20;
    std::size_t got = 0;
    do {
      bytes.resize(length + kPiece);
      got = std::fread(bytes.data() + length, 1, kPiece, file.get());
      length += got;
    } while (got == kPiece && length < kMostBytes);
    bytes.resize(length);
  }
  if (!file || std::ferror(file.get()) != 0) {
    throw Error(ErrorCode::kIo,
                "read " + path + ": " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
  }
  return bytes;
}

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kDamaged, path + ": " + what + "; fetch the file anew or set data.path");
}

struct EndInflate {
  void operator()(z_stream* stream) const { inflateEnd(stream); }
};

// One whole gzip member and nothing behind it; zlib checks its checksum and length.
Bytes decompress(const Bytes& packed, const std::string& path) {
  z_stream stream{};
  constexpr int kGzipOnly = 15 + 16;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw Error(ErrorCode::kInternal, "zlib");
  const std::unique_ptr<z_stream, EndInflate> end(&stream);
  stream.next_in = const_cast<Bytef*>(packed.data());  // NOLINT: zlib does not write there
  stream.avail_in = static_cast<uInt>(packed.size());

  Bytes bytes;
  std::size_t length = 0;
  int rc = Z_OK;
  while (rc == Z_OK && length < kMostBytes) {
    bytes.resize(std::max<std::size_t>(std::size_t{1} << 20, 2 * length));
    stream.next_out = bytes.data() + length;
    stream.avail_out = static_cast<uInt>(bytes.size() - length);
    rc = inflate(&stream, Z_NO_FLUSH);
    length = bytes.size() - stream.avail_out;
  }
  if (rc == Z_BUF_ERROR) damaged(path, "gzip data ends too early");
  if (rc != Z_STREAM_END) damaged(path, "no valid gzip data");
  if (stream.avail_in != 0) damaged(path, "bytes behind the gzip data");
  bytes.resize(length);
  return bytes;
}

std::string shape_text(const std::vector<std::int64_t>& shape, const std::string& zero) {
  std::string text;
  for (const auto extent : shape) {
    text += (text.empty() ? "" : " x ") + (extent == 0 ? zero : std::to_string(extent));
  }
  return text;
}

// Header: two zero bytes, 8 (unsigned bytes), number of dimensions, each extent as 4 bytes
// big-endian.
IdxFile parse(Bytes bytes, const std::vector<std::int64_t>& expected, const std::string& path) {
  const std::size_t header = 4 + 4 * expected.size();
  const Bytes magic = {0, 0, 8, static_cast<std::uint8_t>(expected.size())};
  if (bytes.size() < header || !std::equal(magic.begin(), magic.end(), bytes.begin())) {
    damaged(path, "no IDX file of bytes in " + std::to_string(expected.size()) + " dimensions");
  }
  IdxFile file;
  std::uint64_t count = 1;
  bool fits = true;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::uint32_t extent = 0;
    for (std::size_t b = 0; b < 4; ++b)
      extent = extent << 8U | bytes[4 + 4 * i + b];
    fits = fits && extent > 0 && (expected[i] == 0 || expected[i] == extent);
    file.shape.push_back(extent);
    if (fits) count *= extent;  // at most 2^32 times known small extents
  }
  if (!fits) {
    damaged(path,
            "is " + shape_text(file.shape, "0") + ", expected " + shape_text(expected, "any"));
  }
  const std::uint64_t held = bytes.size() - header;
  if (held != count) {
    damaged(path, "holds " + std::to_string(held) + " bytes of data, its header says " +
                      std::to_string(count));
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header));
  file.values = std::move(bytes);
  return file;
}

}  // namespace

IdxFile read_idx_file(const std::string& folder, const std::string& name,
                      const std::vector<std::int64_t>& shape) {
  std::string path = folder + "/" + name + ".gz";
  auto bytes = read_file(path);
  if (!bytes) {
    path = folder + "/" + name;
    bytes = read_file(path);
  }
  if (!bytes) {
    throw Error(ErrorCode::kNotFound,
                path + " is not there, nor is " + name +
                    ".gz; install Debian's dataset-fashion-mnist or set data.path to its folder");
  }
  const bool gzip = bytes->size() >= 2 && (*bytes)[0] == 0x1f && (*bytes)[1] == 0x8b;
  return parse(gzip ? decompress(*bytes, path) : std::move(*bytes), shape, path);
}

}  // namespace lockstep
