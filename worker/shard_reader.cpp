#include "worker/shard_reader.h"

#include <span>

#include "common/open_shard.h"
#include "common/retries.h"

namespace lockstep {

Staging read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                    const ReadPlan& plan) {
  Staging staging{std::make_unique_for_overwrite<std::byte[]>(plan.bytes), plan.bytes};
  const std::span bytes(staging.bytes.get(), staging.size);
  for (const auto& reads : plan.shards) {
    const auto what = to_text(manifest.checkpoint) + ": shard " + std::to_string(reads.shard);
    // Tried again from a new look-up on: a stale handle stays stale.
    with_retries([&] {
      OpenShard shard(files, folder, manifest, reads.shard, what);
      for (const auto& range : reads.ranges)
        shard.copy(range, bytes);
    });
  }
  return staging;
}

}  // namespace lockstep
