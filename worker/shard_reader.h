#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/manifest.h"

namespace lockstep {

// Bytes of a shard's data section and where they go.
struct ReadRange {
  std::uint64_t from = 0;  // from the start of the shard's data section
  std::uint64_t to = 0;    // from the start of the staging buffer
  std::uint64_t bytes = 0;

  friend bool operator==(const ReadRange&, const ReadRange&) = default;
};

struct ShardReads {
  std::int64_t shard = 0;         // index in the manifest
  std::vector<ReadRange> ranges;  // ascending in `from`, none overlaps; adjacent ones are merged

  friend bool operator==(const ShardReads&, const ShardReads&) = default;
};

struct ReadPlan {
  std::vector<ShardReads> shards;  // ascending; only those that hold something that is wanted
  std::uint64_t bytes = 0;         // of the staging buffer, all of it filled
};

// Pure: where the wanted pieces lie. They are looked up by name: the checkpoint's flat order,
// sections and number of shards may be others than today's. In the staging buffer they lie one
// after the other in the order given. Error(kMismatch) on a piece that the checkpoint doesn't have.
ReadPlan plan_reads(const Manifest& manifest, std::span<const Piece> wanted);

struct Staging {
  std::unique_ptr<std::byte[]> bytes;
  std::uint64_t size = 0;
};

// Local: reads what the plan says from a checkpoint's folder. Every shard that is opened is checked
// whole by its header and the manifest, every block that is touched by its checksum.
// Error(kDamaged): proven damage, a missing file too; kIo: can't be read now, after three tries.
// Texts name checkpoint, shard and cause: "3@1200: shard 2: missing".
// Cost: memory for the staging buffer and one block; bytes at the borders of blocks are read by
// each rank that needs the block.
Staging read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                    const ReadPlan& plan);

}  // namespace lockstep
