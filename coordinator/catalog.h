#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/file_system.h"
#include "coordinator/attempt_reading.h"
#include "coordinator/examine.h"
#include "coordinator/liveness.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Reads a store into values. All: Local, reading only; rank 0's and the CLI's, never another
// rank's. What can't be read now is tried again, a few times, then Error(kIo); damage is no error
// but a fact in the view.

// The names of all attempts and checkpoints, and the attempts' records; opens no checkpoint.
// A trash folder of an attempt without outcome counts as the checkpoint that it holds. A checkpoint
// that the newest attempt's heartbeat or outcome calls its last commit, and that is not there, is
// in the view as damaged, `gone` set: nobody deletes a lineage's newest, so it is lost, or not
// listed yet. Error(kMismatch) where `store` is no store: store.json is absent beside attempts/ or
// checkpoints/, damaged, or of another version. Cost: three listings, up to four small files an
// attempt.
// `own`: the attempt that scans, which is no part of what it decides about.
// `before`: an earlier scan. Records of an attempt with an outcome never change again, so what it
// saw of those is kept: reading them costs most of a scan.
// `progress`: told of attempts alone.
StoreView scan_store(const FileSystem& files, const std::string& store,
                     std::optional<std::int64_t> own = {}, const StoreView& before = {},
                     Claims claims = Claims::kAll, const ReadProgress& progress = {});

// Calls `scan` until nothing is `gone` in what it gives. A network file system may list a folder as
// it was a while ago: only after a minute is what it lacks damage; on others at once.
StoreView scan_patiently(const FileSystem& files, const std::string& store, const Clock& clock,
                         const std::function<StoreView()>& scan);

}  // namespace lockstep
