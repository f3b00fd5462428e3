#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/file_system.h"
#include "coordinator/pins.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Deleting, so that a process that sleeps at any point of it and wakes when others have taken over
// destroys nothing that they count on.

// Local: deletes one checkpoint as attempt `deleter`:
//   1. rename to .trash-DELETER-<nonce>-...   2. list attempts/ again: a higher number than the
//   deleter's means that somebody may count on it, so rename back and stop (Error kSuperseded)
//   3. unlink each file by its path from the store, manifest first, then the folder.
// Never through a descriptor of the folder and never a recursive remove: a process that slept at 3
// and wakes after the folder was renamed back finds nothing at its paths.
void delete_checkpoint(FileSystem& files, const std::string& store, std::int64_t deleter,
                       const CheckpointId& checkpoint);

// The same for one that the user may want to keep: a pin that is there after the rename brings it
// back too. Who pins looks, after the pin is there, whether the checkpoint still stands in its
// place: so one of the two sees the other. `trash`: the folder's name where a deleter that died has
// it. false: it is pinned, or somebody else has deleted it.
bool delete_unpinned(FileSystem& files, const std::string& store, std::int64_t deleter,
                     const CheckpointView& checkpoint);

// Local: after the own first commit: sweeps .partial folders of earlier attempts, and trash that is
// no checkpoint any more: of a .partial, without a manifest, or left by a deleter that has ended.
void sweep_partials(FileSystem& files, const std::string& store, std::int64_t mine);

// Local: before a save that takes `checkpoint_bytes`: where the store has less free, sweeps first.
// An attempt that died in a save leaves as much behind as a checkpoint takes, and there may be no
// own first commit without that space. Error(kIo) as require_space; kSuperseded.
void make_space(FileSystem& files, const std::string& store, std::int64_t mine,
                const std::function<std::optional<std::uint64_t>()>& free,
                std::uint64_t checkpoint_bytes);

// Local: renames back what attempts without outcome left in trash, and says so in `view`. false:
// one of them was awake and took something out of it meanwhile; scan again.
bool restore_trash(FileSystem& files, const std::string& store, StoreView& view);

}  // namespace lockstep
