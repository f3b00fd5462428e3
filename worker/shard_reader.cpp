#include "worker/shard_reader.h"

#include <chrono>
#include <span>
#include <thread>

#include "common/open_shard.h"
#include "common/retries.h"

namespace lockstep {

namespace {

// An attempt that was taken for dead and wakes up may put the checkpoint into trash, and back at
// once when it sees that it is superseded: the folder is given three looks before it is missing.
void wait_for_folder(const FileSystem& files, const std::string& folder) {
  constexpr int kLooks = 3;
  constexpr auto kPause = std::chrono::milliseconds(100);
  for (int i = 1; i < kLooks && !files.info(folder); ++i)
    std::this_thread::sleep_for(kPause);
}

}  // namespace

Pages read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                  const ReadPlan& plan) {
  Pages staging(plan.bytes);
  for (const auto& reads : plan.shards) {
    const auto what = to_text(manifest.checkpoint) + ": shard " + std::to_string(reads.shard);
    // Tried again from a new look-up on: a stale handle stays stale.
    with_retries([&] {
      wait_for_folder(files, folder);
      OpenShard shard(files, folder, manifest, reads.shard, what);
      for (const auto& range : reads.ranges)
        shard.copy(range, staging.all());
    });
  }
  return staging;
}

}  // namespace lockstep
