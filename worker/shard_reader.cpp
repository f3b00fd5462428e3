#include "worker/shard_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>
#include <unordered_map>

#include "common/digest.h"
#include "common/error.h"
#include "common/partition.h"

namespace lockstep {

namespace {

// Where a tensor of the checkpoint begins in its section.
struct Place {
  const TensorInfo* tensor = nullptr;
  std::size_t section = 0;
  std::int64_t first = 0;
};

std::unordered_map<std::string_view, Place> places_of(const Manifest& manifest) {
  std::unordered_map<std::string_view, Place> places;
  auto tensor = manifest.tensors.begin();
  for (std::size_t s = 0; s < manifest.partition.size(); ++s) {
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < manifest.partition[s].tensors; ++i, ++tensor) {
      places[tensor->name] = {&*tensor, s, first};
      first += elements(*tensor);
    }
  }
  return places;
}

std::vector<std::uint64_t> element_bytes_of_sections(const Manifest& manifest) {
  std::vector<std::uint64_t> widths;
  std::size_t tensor = 0;
  for (const auto& section : manifest.partition) {
    widths.push_back(section.tensors == 0 ? 1 : bytes_of(manifest.tensors[tensor].dtype));
    tensor += static_cast<std::size_t>(section.tensors);
  }
  return widths;
}

void sort_and_merge(std::vector<ReadRange>& ranges) {
  std::ranges::sort(ranges, {}, &ReadRange::from);
  std::vector<ReadRange> merged;
  for (const auto& range : ranges) {
    if (!merged.empty() && merged.back().from + merged.back().bytes == range.from &&
        merged.back().to + merged.back().bytes == range.to) {
      merged.back().bytes += range.bytes;
    } else {
      merged.push_back(range);
    }
  }
  ranges = std::move(merged);
}

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
std::unique_ptr<ReadableFile> open_shard(const FileSystem& files, const std::string& path) {
  try {
    return files.open(path);
  } catch (const Error& e) {
    const auto fresh = files.info(path);
    if (!fresh) throw Error(ErrorCode::kDamaged, "missing");
    if (fresh->kind != EntryKind::kFile) throw Error(ErrorCode::kDamaged, "not a regular file");
    throw Error(ErrorCode::kIo, e.what());
  }
}

class BlockReader {
 public:
  BlockReader(const ReadableFile& file, const SafetensorsHeader& header,
              const ShardDescription& shard)
      : file_(file),
        header_(header),
        shard_(shard),
        buffer_(std::min(kChecksumBlockBytes, header.data_bytes)) {}

  // The block's bytes, verified; valid until the next call.
  std::span<const std::byte> block(std::uint64_t index) {
    const auto begin = index * kChecksumBlockBytes;
    if (index >= shard_.checksums.size() || begin >= header_.data_bytes)
      throw Error(ErrorCode::kDamaged, "no block " + std::to_string(index));
    const auto bytes =
        std::span(buffer_).first(std::min(kChecksumBlockBytes, header_.data_bytes - begin));
    if (index == current_) return bytes;
    current_ = kNone;
    file_.read_at(header_.data_begin + begin, bytes);
    const auto found = checksum64(bytes);
    if (found != shard_.checksums[index])
      throw Error(ErrorCode::kDamaged, "checksum of block " + std::to_string(index) + " is " +
                                           hex64(found) + ", expected " +
                                           hex64(shard_.checksums[index]));
    current_ = index;
    return bytes;
  }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  const ReadableFile& file_;
  const SafetensorsHeader& header_;
  const ShardDescription& shard_;
  std::vector<std::byte> buffer_;
  std::uint64_t current_ = kNone;
};

void copy_range(BlockReader& reader, const ReadRange& range, std::span<std::byte> staging) {
  for (std::uint64_t done = 0; done < range.bytes;) {
    const auto at = range.from + done;
    const auto block = reader.block(at / kChecksumBlockBytes);
    const auto skipped = at % kChecksumBlockBytes;
    if (skipped >= block.size()) throw Error(ErrorCode::kDamaged, "the data section is too short");
    const auto take = std::min(range.bytes - done, block.size() - skipped);
    std::memcpy(&staging[range.to + done], &block[skipped], take);
    done += take;
  }
}

void read_shard(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                const ShardReads& reads, std::span<std::byte> staging) {
  const auto& listed = manifest.shards.at(static_cast<std::size_t>(reads.shard));
  const auto what = to_text(manifest.checkpoint) + ": shard " + std::to_string(reads.shard);
  naming(what, [&] {
    const auto file = open_shard(files, folder + "/" + listed.file);
    if (file->size() != listed.bytes)
      throw Error(ErrorCode::kDamaged, "has " + std::to_string(file->size()) + " bytes, expected " +
                                           std::to_string(listed.bytes));
    const auto header = read_safetensors_header(*file, what);
    const auto shard = describe_shard(header, what);
    check_shard(manifest, reads.shard, header, shard, file->size(), what);
    BlockReader reader(*file, header, shard);
    for (const auto& range : reads.ranges)
      copy_range(reader, range, staging);
  });
}

// What can't be read now is tried again from a new look-up on: a stale handle stays stale.
void read_shard_with_retries(const FileSystem& files, const std::string& folder,
                             const Manifest& manifest, const ShardReads& reads,
                             std::span<std::byte> staging) {
  constexpr int kTries = 3;
  for (int i = 1;; ++i) {
    try {
      return read_shard(files, folder, manifest, reads, staging);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kDamaged || i == kTries) throw;
    }
  }
}

}  // namespace

ReadPlan plan_reads(const Manifest& manifest, std::span<const Piece> wanted) {
  const auto places = places_of(manifest);
  const auto widths = element_bytes_of_sections(manifest);
  const auto shards = static_cast<std::int64_t>(manifest.shards.size());
  std::map<std::int64_t, std::vector<ReadRange>> by_shard;
  ReadPlan plan;
  for (const auto& piece : wanted) {
    const auto found = places.find(piece.name);
    if (found == places.end() || found->second.tensor->dtype != piece.dtype ||
        piece.first + piece.count > elements(*found->second.tensor))
      throw Error(ErrorCode::kMismatch,
                  to_text(manifest.checkpoint) + " has no such piece of " + piece.name);
    const auto& place = found->second;
    const auto total = manifest.partition[place.section].elements;
    const auto width = widths[place.section];
    const auto end = place.first + piece.first + piece.count;
    for (auto at = place.first + piece.first; at < end;) {
      const auto shard = part_holding(total, shards, at);
      const auto part = part_of(total, {shard, shards});
      std::uint64_t from = static_cast<std::uint64_t>(at - part.first) * width;
      for (std::size_t s = 0; s < place.section; ++s)
        from += static_cast<std::uint64_t>(
                    part_of(manifest.partition[s].elements, {shard, shards}).count) *
                widths[s];
      const auto bytes = static_cast<std::uint64_t>(std::min(end, part.end()) - at) * width;
      by_shard[shard].push_back({from, plan.bytes, bytes});
      plan.bytes += bytes;
      at = std::min(end, part.end());
    }
  }
  for (auto& [shard, ranges] : by_shard) {
    sort_and_merge(ranges);
    plan.shards.push_back({shard, std::move(ranges)});
  }
  return plan;
}

Staging read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                    const ReadPlan& plan) {
  Staging staging{std::make_unique_for_overwrite<std::byte[]>(plan.bytes), plan.bytes};
  const std::span bytes(staging.bytes.get(), staging.size);
  for (const auto& reads : plan.shards)
    read_shard_with_retries(files, folder, manifest, reads, bytes);
  return staging;
}

}  // namespace lockstep
