#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/error.h"
#include "coordinator/catalog.h"

namespace lockstep {

struct ExamineOptions {
  Depth depth = Depth::kHeaders;
  std::size_t threads = 0;  // 0: by the machine, a few
  // The manifests are counted, then the shards where their headers alone are read, else bytes.
  ReadProgress progress = {};
};

// A checkpoint that can't be read now, which says nothing about its bytes.
struct Unreadable {
  CheckpointId checkpoint;
  std::string why;
};

struct ExaminedAll {
  std::vector<CheckpointId> gone;  // removed from the store meanwhile; no longer in the view
  std::vector<Unreadable> unreadable;
};

// Local: opens checkpoints of `view` on several threads, a shard at a time, and notes in the view
// what was found. Damage counts only where a fresh scan still finds the checkpoint: a job's
// retention may delete one while it is read.
// Cost: memory one block (4 MiB) a thread.
ExaminedAll examine_all(const FileSystem& files, const std::string& store, StoreView& view,
                        std::span<const CheckpointId> checkpoints, const ExamineOptions& options);

// Local: the same where nothing but headers is wanted and anything that can't be read is an error:
// Error(kIo). Gives `checkpoints` without those that are gone.
std::vector<CheckpointId> examine_headers(const FileSystem& files, const std::string& store,
                                          StoreView& view,
                                          std::span<const CheckpointId> checkpoints,
                                          const ReadProgress& progress = {});

}  // namespace lockstep
