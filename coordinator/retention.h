#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "coordinator/pins.h"
#include "coordinator/store_view.h"

namespace lockstep {

struct RetentionRule {
  std::int64_t keep_last = 3;
};

// Pure: which checkpoints of attempt's lineage go, given the view after a commit. Good ones are
// counted from the newest; what lies behind the last that is kept goes, pinned ones excepted. Of
// non-finite ones only the newest stays, and none counts. Every checkpoint of the lineage must have
// been examined, newest first, until keep_last good ones were seen; what was not is behind them.
// Never names the lineage's last good one.
std::vector<CheckpointId> choose_deletions(const StoreView& store, std::int64_t attempt,
                                           const RetentionRule& rule,
                                           const std::set<CheckpointId>& pins);

// Local: applies the rule as attempt `mine`, which must be the newest. Gives what was deleted.
std::vector<CheckpointId> retain(FileSystem& files, const std::string& store, std::int64_t mine,
                                 const RetentionRule& rule);

// Local: deletes one checkpoint as attempt `deleter`:
//   1. rename to .trash-DELETER-<nonce>-...   2. list attempts/ again: a higher number than the
//   deleter's means that somebody may count on it, so rename back and stop (Error kSuperseded)
//   3. unlink each file by its path from the store, manifest first, then the folder.
// Never through a descriptor of the folder and never a recursive remove: a process that slept at 3
// and wakes after the folder was renamed back finds nothing at its paths.
void delete_checkpoint(FileSystem& files, const std::string& store, std::int64_t deleter,
                       const CheckpointId& checkpoint);

// Local: after the own first commit: sweeps .partial folders of earlier attempts, and trash that is
// no checkpoint any more: of a .partial, without a manifest, or left by a deleter that has ended.
void sweep_partials(FileSystem& files, const std::string& store, std::int64_t mine);

// Local: renames back what attempts without outcome left in trash, and says so in `view`. false:
// one of them was awake and took something out of it meanwhile; scan again.
bool restore_trash(FileSystem& files, const std::string& store, StoreView& view);

}  // namespace lockstep
