#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/file_system.h"
#include "common/manifest.h"

namespace lockstep {

// The commit of a checkpoint, rank 0's part. Between begin and commit every rank writes and fsyncs
// its shard into the .partial folder.
//   1. manifest written, fsynced   2. .partial folder fsynced   3. attempts/ listed: still the
//   newest?
//   4. rename to the final name    5. checkpoints/ fsynced      6. still the newest?
//   7. only now acknowledged: logged, counted by retention, shown
// After a crash at any point there is the old set of checkpoints, or the old set and the new one. A
// process that slept between 3 and 4 commits under its own number, beyond the point where the newer
// attempt left its lineage: nobody's `latest` reaches it; 6 makes it stop.
// All: Local.

// Pure: Error(kIo) where a file system has less free than a checkpoint takes: before anything is
// written. free: nullopt where it can't be told.
void require_space(std::optional<std::uint64_t> free, std::uint64_t checkpoint_bytes);

// Makes the empty .partial folder; one that an earlier try of this attempt left is emptied.
void begin_commit(FileSystem& files, const std::string& store, const CheckpointId& id);

// Steps 1 to 6. Error(kSuperseded); kIo: nothing is acknowledged, and what there is stays .partial,
// or is a whole checkpoint whose fsync failed.
void commit(FileSystem& files, const std::string& store, const Manifest& manifest);

// Removes the .partial folder of a save that failed.
void abandon_commit(FileSystem& files, const std::string& store, const CheckpointId& id);

}  // namespace lockstep
