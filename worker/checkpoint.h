#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/comm.h"
#include "common/file_system.h"
#include "common/manifest.h"
#include "common/selection.h"
#include "common/weights.h"
#include "worker/arena.h"
#include "worker/pending_save.h"
#include "worker/state.h"

namespace lockstep {

// Rank 0's part of a save, given by the composition root so that worker/ need not know how
// checkpoints are committed. Each runs on rank 0 only, may throw Error.
struct CommitSteps {
  std::function<void(const CheckpointId&)> begin;  // makes the .partial folder, empty
  // All shards are durable: manifest ... rename. Beside training a thread's, one at a time.
  std::function<void(const Manifest&)> commit;
  std::function<void(const CheckpointId&)> abandon;  // drops the .partial after a failure
};

// What a save beside training needs: memory for this rank's own bytes, for it alone until it is
// through, and threads that copy into it.
struct Beside {
  Arena& arena;
  std::size_t copy_threads = 1;
};

// Begins to save `state` as checkpoint `manifest.checkpoint` of the store.
//
// Every rank calls it at the same iteration; only what is returned is collective over `comm`.
// `manifest` must be filled in on rank 0 but for world_size, finite, tensors, shards and partition;
// other ranks give checkpoint only. `comm`, `files` and `state` must outlive what is returned.
// Protocol:
//   1. rank 0 begins;
//   2. every rank writes its shard into the .partial folder and fsyncs it;
//   3. less than 64 bytes a rank go to rank 0: size, header digest, finite;
//   4. rank 0 completes the manifest and commits;
//   5. its result is every rank's result.
// Step 1 ends in the first advance(), 2 and 3 in the second, 4 and 5 in the third; finish() makes
// what is left. With `beside` 1, 2 and 4 are threads' work, so that nothing waits for the file
// system, and the state may change after await_snapshot(); else they are done in finish(), which
// must be called before it changes.
//
// What all ranks must have alike is compared before a shard is written: the checkpoint's name, the
// tensors, the contents of replicated tensors that are of integers, or compared. A difference
// is named: kMismatch in contents, else kInternal.
//
// All steps throw AgreedError, equal on all ranks, with the code of the step that failed; nothing
// is committed then, and rank 0 has dropped the .partial when it throws. Nothing is tried again but
// for a shard whose fsync failed: it is written anew, once. `time_is_over` of finish() is asked
// before each block of 4 MiB that a rank writes, by any thread.
// Cost: each rank reads and writes its own bytes once; one allreduce, a gather and four broadcasts
// of a few bytes.
std::unique_ptr<PendingSave> begin_save(const Comm& comm, FileSystem& files,
                                        const std::string& store, const Manifest& manifest,
                                        const StateView& state, const CommitSteps& steps,
                                        std::optional<Beside> beside);

// The whole of it, while the caller waits.
void save_checkpoint(const Comm& comm, FileSystem& files, const std::string& store,
                     const Manifest& manifest, const StateView& state, const CommitSteps& steps,
                     const std::function<bool()>& time_is_over = {});

// Loads what `selection` takes of a checkpoint into `state`; the rest of it keeps its values.
//
// Collective over `comm`, with the same manifest, folder and selection on every rank. Any world
// size loads what any other wrote; each rank reads what it owns, replicated sections are spread by
// MPI.
//
// The tensors that are selected must be the state's: a name, dtype or shape that differs in either
// direction is kMismatch, all listed, before anything is opened or changed; so is a glob of
// selection.exclude that matches nothing.
//
// A byte reaches `state` only when its block is verified against its checksum. On AgreedError
// (equal on all ranks; kDamaged, kIo) what is selected of `state` may hold a part of the
// checkpoint, and the caller must clear it before it is used. What can't be read now is tried
// three times, then kIo; a missing file is damage.
//
// Opens only the shards that hold what this rank owns; lists nothing.
// Cost: each byte is read once per job, but for blocks of 4 MiB that two ranks share, and copied
// once; memory for four blocks; three allreduces, and an all-gather of each replicated section,
// beside the reading of the others.
void load_checkpoint(const Comm& comm, const FileSystem& files, const std::string& folder,
                     const Manifest& manifest, const Selection& selection, const StateView& state);

// The same from plain safetensors files, `name` for texts. Their tensors may be named as lockstep's
// ("model.conv1.weight") or as the module's ("conv1.weight"). There are no checksums: that the
// files are the ones whose headers rank 0 has read is all that is proven. On AgreedError `state` is
// as it was, on every rank. Cost: memory for the own bytes, of `staging`.
void load_weights(const Comm& comm, const FileSystem& files, const std::string& name,
                  const Weights& weights, const Selection& selection, const StateView& state,
                  Arena& staging);

}  // namespace lockstep
