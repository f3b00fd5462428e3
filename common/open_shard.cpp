#include "common/open_shard.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "common/digest.h"
#include "common/error.h"

namespace lockstep {

namespace {

// Runs `read` and has its errors begin with `what`.
template <typename Fn>
auto naming(std::string_view what, Fn&& read) {
  try {
    return read();
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(what)) throw;
    throw Error(e.code(), std::string(what) + ": " + e.what());
  }
}

// Only a regular file counts as present; what is there and can't be opened says nothing about
// bytes.
std::unique_ptr<ReadableFile> open_regular(const FileSystem& files, const std::string& path) {
  try {
    return files.open(path);
  } catch (const Error& e) {
    const auto fresh = files.info(path);
    if (!fresh) throw Error(ErrorCode::kDamaged, std::string(kMissing));
    if (fresh->kind != EntryKind::kFile) throw Error(ErrorCode::kDamaged, "not a regular file");
    throw Error(ErrorCode::kIo, e.what());
  }
}

}  // namespace

OpenShard::OpenShard(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                     std::int64_t index, std::string what)
    : what_(std::move(what)) {
  naming(what_, [&] {
    const auto& listed = manifest.shards.at(static_cast<std::size_t>(index));
    file_ = open_regular(files, folder + "/" + listed.file);
    // The size first: of a truncated file the user should read that, not what its header then
    // lacks.
    if (file_->size() != listed.bytes)
      throw Error(ErrorCode::kDamaged, "has " + std::to_string(file_->size()) +
                                           " bytes, expected " + std::to_string(listed.bytes));
    header_ = read_safetensors_header(*file_, what_);
    shard_ = describe_shard(header_, what_);
    check_shard(manifest, index, header_, shard_, file_->size(), what_);
  });
}

std::uint64_t OpenShard::block_bytes(std::uint64_t index) const {
  const auto begin = index * kChecksumBlockBytes;
  if (index >= blocks() || begin >= header_.data_bytes)
    throw Error(ErrorCode::kDamaged, what_ + ": no block " + std::to_string(index));
  return std::min(kChecksumBlockBytes, header_.data_bytes - begin);
}

void OpenShard::read_block(std::uint64_t index, std::span<std::byte> into) const {
  naming(what_, [&] {
    file_->read_at(header_.data_begin + index * kChecksumBlockBytes, into);
    const auto found = checksum64(into);
    if (found != shard_.checksums.at(index))
      throw Error(ErrorCode::kDamaged, "checksum of block " + std::to_string(index) + " is " +
                                           hex64(found) + ", expected " +
                                           hex64(shard_.checksums[index]));
  });
}

std::span<const std::byte> OpenShard::block(std::uint64_t index) {
  const auto bytes = block_bytes(index);
  if (buffer_.all().empty()) buffer_ = Pages(block_bytes(0));
  const auto into = buffer_.all().first(bytes);
  if (index == current_) return into;
  current_ = kNone;
  read_block(index, into);
  current_ = index;
  return into;
}

void OpenShard::copy(const ReadRange& range, std::span<std::byte> staging) {
  for (std::uint64_t done = 0; done < range.bytes;) {
    const auto at = range.from + done;
    const auto block = this->block(at / kChecksumBlockBytes);
    const auto skipped = at % kChecksumBlockBytes;
    if (skipped >= block.size())
      throw Error(ErrorCode::kDamaged, what_ + ": the data section is too short");
    const auto take = std::min(range.bytes - done, block.size() - skipped);
    std::memcpy(&staging[range.to + done], &block[skipped], take);
    done += take;
  }
}

bool has_listed_header(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                       std::int64_t index) {
  const auto& listed = manifest.shards.at(static_cast<std::size_t>(index));
  try {
    const auto file = files.open(folder + "/" + listed.file);
    return file->size() == listed.bytes &&
           digest128(read_safetensors_head(*file, listed.file)) == listed.header_digest;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kIo) throw;
    return false;
  }
}

}  // namespace lockstep
