#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/attempt_records.h"
#include "common/file_system.h"
#include "coordinator/catalog.h"
#include "coordinator/config_loader.h"
#include "coordinator/liveness.h"
#include "coordinator/newest_look.h"
#include "coordinator/policy.h"

namespace lockstep {

// From launch to the decision: rank 0's steps 1 to 4 of DESIGN's "From launch to first iteration".
//   1. look: watch the newest attempt, if it has no outcome; wait or refuse as the table says
//   2. try: decide on trial; `error` and `finished` end here, nothing claimed, nothing written
//   3. claim the next number; taken: back to 1
//   4. decide: scan again and decide by what is there now; decision.json is durable before any load
// A decision is made on one scan. Where a checkpoint is no longer where that scan saw it, an
// attempt that was taken for dead is awake again and renames or deletes: nothing is proven damaged
// by that, and the store is scanned anew; so it is where what restore.from names is of the own
// store and shows another than that scan did. All: Local.

// What the configuration and the environment say of a launch; who launches fills in ranks, hosts
// and build. A run id is generated where nothing names one. Error(kInvalidConfig).
LaunchFacts facts_of(const LoadedConfig& loaded, const Environment& environment);

// A decision, with the view that it was made on: the fallback after a failed load asks again.
struct Decided {
  StoreView store;
  Ruling ruling;
  std::optional<SourceView> source = {};  // what restore.from names, where it was asked for

  int came_back = 0;  // loads that missed a file which was in its place again at the next look

  // What was found of the checkpoint that was chosen.
  Examined& chosen();
};

// Pure: what the last save took of the attempt whose checkpoint is carried on from. nullopt: it
// says nothing, or there is none in this store.
std::optional<double> expected_save_seconds(const Decided& decided);

// 1 and 2. Error(kInUse, kOwnRunAlive) beside an attempt that is alive; StoppedOnRequest where that
// one was stopped on request while this launch waited for its end; Error(kIo) where the store went
// away meanwhile. The ruling is the trial's;
// an `error` or `finished` one is the end. `ignore_running` leaves step 1 out.
Decided look_and_try(const FileSystem& files, const LaunchFacts& launch, const Clock& clock,
                     const LookOptions& options,
                     const std::function<void(const std::string&)>& say);

// 3. Makes the store where `seen`, the look's, has none, and claims `number`, which is above all in
// it; `claim` is complete but for store_id. nullopt: the number was taken, look again. From here on
// the caller owes an outcome. Error(kIo) where the store that was seen is gone: it is never made
// anew.
struct Claimed {
  std::int64_t attempt = 0;
  Claim claim;  // as written
};
std::optional<Claimed> claim_next(FileSystem& files, const LaunchFacts& launch,
                                  const StoreView& seen, std::int64_t number, Claim claim);

// 3, where number `taken` was taken: back to 1, which is `look`; it gives the highest number that
// it saw. Gives the number to claim next. An attempt that no listing showed is never passed over:
// it may be alive, and nobody has watched it. So listings are made fresh, and looks repeated, until
// one shows the number; Error(kIo) where it is there and none does. One that is not there was never
// made: NFS may answer so to a mkdir that it was sent twice.
std::int64_t number_after(FileSystem& files, const LaunchFacts& launch, std::int64_t taken,
                          const Clock& clock, const std::function<std::int64_t()>& look);

// 4. Brings back what a dead deleter had in trash, scans and decides; a decision to train is
// durable on return. Error(kSuperseded).
// On a network file system a listing that lacks the last commit is repeated, for up to a minute.
// `trial`: what the decision on trial saw, for scan_store's `before`. Error(kIo) where the store is
// another by now.
Decided decide_claimed(FileSystem& files, const LaunchFacts& launch, std::int64_t attempt,
                       const Clock& clock = steady_clock(), const StoreView& trial = {});

// After a load found the chosen checkpoint damaged: decides anew, by what there is now; durable on
// return. Where it missed a file that is there again, which is seen to be the one that was chosen
// by its headers, nothing is proven: a few times it may be chosen once more.
Decided decide_again(FileSystem& files, const LaunchFacts& launch, std::int64_t attempt,
                     Decided before, const std::string& why, const Clock& clock = steady_clock());

// For --evaluate, beside whatever runs on the store: claims and writes nothing.
Decided decide_beside(const FileSystem& files, const LaunchFacts& launch,
                      const Clock& clock = steady_clock());
Decided decide_beside_again(const FileSystem& files, const LaunchFacts& launch, Decided before,
                            const std::string& why, const Clock& clock = steady_clock());

}  // namespace lockstep
