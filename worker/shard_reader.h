#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/file_system.h"
#include "common/manifest.h"
#include "common/read_plan.h"

namespace lockstep {

// Local: what the plan asks for of a checkpoint's folder. Every shard that is opened is checked
// whole by its header and the manifest, every block that is touched by its checksum.
// Error(kDamaged): proven damage, a missing file too; kIo: can't be read now, after three tries.
// Texts name checkpoint, shard and cause: "3@1200: shard 2: missing".
// `staging`: plan.bytes. Cost: memory for four blocks; bytes at the borders of blocks are read by
// each rank that needs the block.
void read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                 const ReadPlan& plan, std::span<std::byte> staging);

}  // namespace lockstep
