#include <algorithm>

#include "common/error.h"
#include "common/manifest.h"
#include "common/partition.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

bool same_piece(const Piece& a, const Piece& b) {
  return a.name == b.name && a.dtype == b.dtype && a.first == b.first && a.count == b.count;
}

void check_identity(const Manifest& manifest, std::int64_t index, const ShardDescription& shard,
                    std::string_view what) {
  const CheckpointId checkpoint{.attempt = shard.attempt, .iteration = shard.iteration};
  if (checkpoint != manifest.checkpoint) {
    throw_damaged(what, "is a shard of " + to_text(checkpoint) + ", expected " +
                            to_text(manifest.checkpoint));
  }
  if (shard.index != index || shard.count != manifest.world_size) {
    throw_damaged(what, "is " + shard_file({.index = shard.index, .count = shard.count}) +
                            ", expected " +
                            shard_file({.index = index, .count = manifest.world_size}));
  }
}

}  // namespace

std::vector<Piece> expected_pieces(const Manifest& manifest, std::int64_t index) {
  std::vector<Piece> pieces;
  auto tensor = manifest.tensors.begin();
  for (const PartitionSection& section : manifest.partition) {
    const Range mine = part_of(section.elements, {.index = index, .count = manifest.world_size});
    std::int64_t begin = 0;  // of the tensor in the section
    for (std::int64_t i = 0; i < section.tensors; ++i, ++tensor) {
      const std::int64_t end = begin + elements(*tensor);
      const std::int64_t first = std::max(begin, mine.first);
      const std::int64_t last = std::min(end, mine.end());
      if (first < last) {
        pieces.push_back({.name = tensor->name,
                          .dtype = tensor->dtype,
                          .first = first - begin,
                          .count = last - first});
      }
      begin = end;
    }
  }
  return pieces;
}

void check_shard(const Manifest& manifest, std::int64_t index, const SafetensorsHeader& header,
                 const ShardDescription& shard, std::uint64_t file_bytes, std::string_view what) {
  if (index < 0 || index >= manifest.world_size) {
    throw Error(ErrorCode::kInternal, "check_shard: no such shard");
  }
  const ShardInfo& info = manifest.shards[static_cast<std::size_t>(index)];
  if (file_bytes != info.bytes || header.data_begin + header.data_bytes != info.bytes) {
    throw_damaged(what, "has " + std::to_string(file_bytes) + " bytes, expected " +
                            std::to_string(info.bytes));
  }
  check_identity(manifest, index, shard, what);
  if (header.digest != info.header_digest) {
    throw_damaged(what,
                  "its header has digest " + header.digest + ", expected " + info.header_digest);
  }
  const std::vector<Piece> pieces = expected_pieces(manifest, index);
  if (!std::equal(pieces.begin(), pieces.end(), shard.pieces.begin(), shard.pieces.end(),
                  same_piece)) {
    throw_damaged(what, "holds other pieces than the manifest's partition gives it");
  }
}

}  // namespace lockstep
