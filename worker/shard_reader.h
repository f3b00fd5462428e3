#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "common/file_system.h"
#include "common/manifest.h"
#include "common/read_plan.h"
#include "worker/places.h"

namespace lockstep {

// How far a read has come, for another thread.
struct ReadProgress {
  std::atomic<std::uint64_t> steps = 0;  // blocks that are in their places
  std::atomic<bool> given_up = false;    // by whoever waits for it: it ends with kIo
  std::function<void()> shared_done = [] {
  };  // called once, when all that is Places::shared is there
};

// Local: what the plan asks for of a checkpoint's folder, block by block into its places, what is
// shared first; several blocks in flight. Every shard that is opened is checked whole by its header
// and the manifest, every block that is touched by its checksum, before any of it is put anywhere.
// Error(kDamaged): proven damage, a missing file too; kIo: can't be read now, after three tries.
// Texts name checkpoint, shard and cause: "3@1200: shard 2: missing".
// `places`: plan.bytes. Cost: memory for four blocks; bytes at the borders of blocks are read by
// each rank that needs the block.
void read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                 const ReadPlan& plan, const Places& places, ReadProgress& progress);

}  // namespace lockstep
