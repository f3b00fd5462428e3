#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "coordinator/examine.h"
#include "coordinator/liveness.h"
#include "coordinator/retention_rule.h"
#include "coordinator/store_view.h"

namespace lockstep {

// `lockstep prune`: deleting from a store on which no job runs.
//
// It has no attempt of its own. It deletes under the number of the highest attempt that there was
// when it looked, so a job that begins meanwhile has a higher one: seen after a rename, the rename
// is taken back and prune ends. A prune that is killed leaves at most one checkpoint in trash.
// Where the highest attempt has an outcome that trash is swept by the next job; where it crashed
// without one the next job brings it back.

struct PruneRequest {
  std::optional<RetentionRule> rule;  // along the newest lineage
  bool abandoned = false;             // and all that is outside of it
  ReadProgress progress = {};         // of what is opened to choose
};

// Pure: what goes of the newest lineage (examined as far as it could be read) and outside of it.
// Error(kInvalidConfig) where what is asked can't be said: keep_best by a metric that no good
// checkpoint of the lineage has, or an attempt whose damaged decision.json hides what it descends
// from, so that `abandoned` might name what is not.
std::vector<Deletion> choose_pruned(const StoreView& store, const PruneRequest& request,
                                    const std::set<CheckpointId>& pins);

// Local: opens what the rule goes by, reads every byte of the newest good one, and chooses by the
// pins there are. What can't be read now is Error(kIo), and nothing is chosen; nor where something
// abandoned would go while the newest lineage holds no good checkpoint: Error(kInvalidConfig).
std::vector<Deletion> look_at_pruned(const FileSystem& files, const std::string& store,
                                     StoreView& view, const PruneRequest& request);

// Local: deletes them one by one, as the highest attempt in `view`; `deleted` is told of each that
// is gone. Error(kInUse) where a job has begun since: nothing more is deleted.
void delete_pruned(FileSystem& files, const std::string& store, const StoreView& view,
                   const std::vector<Deletion>& chosen,
                   const std::function<void(const Deletion&)>& deleted);

// Local: watches the newest attempt as a launch does, and scans again where that took a while: the
// store on which nobody is at work. Error(kInUse) where somebody is, or has begun meanwhile. `say`
// is told where it takes a while. `progress`: scan_store's.
StoreView look_when_idle(const FileSystem& files, const std::string& store, const Clock& clock,
                         const std::function<void(const std::string&)>& say,
                         const ReadProgress& progress = {});

// Local: bytes of all files of a checkpoint, whole or not.
std::uint64_t bytes_of(const FileSystem& files, const std::string& store,
                       const CheckpointView& checkpoint);

}  // namespace lockstep
