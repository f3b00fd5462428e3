#include "coordinator/commit.h"

#include "common/error.h"
#include "common/fail_point.h"
#include "common/names.h"
#include "coordinator/amounts.h"
#include "coordinator/attempt.h"
#include "coordinator/retention.h"

namespace lockstep {

namespace {

void empty_folder(FileSystem& files, const std::string& folder) {
  for (const auto& entry : files.list(folder))
    files.unlink(folder + "/" + entry.name);
}

}  // namespace

void require_space(std::optional<std::uint64_t> free, std::uint64_t checkpoint_bytes) {
  if (!free || *free >= checkpoint_bytes) return;
  throw Error(ErrorCode::kIo, "no space left for it: it takes " + bytes_text(checkpoint_bytes) +
                                  ", " + bytes_text(*free) + " are free");
}

void begin_commit(FileSystem& files, const std::string& store, const CheckpointId& id) {
  const auto folder = partial_path(store, id);
  if (!files.claim_folder(folder)) empty_folder(files, folder);
  LOCKSTEP_FAIL_POINT("partial made");
  // Renamed by an earlier try whose last steps failed: never acknowledged, and in the way.
  if (!files.info(checkpoint_path(store, id))) return;
  LOCKSTEP_FAIL_POINT("earlier try found");
  delete_checkpoint(files, store, id.attempt, id);
  LOCKSTEP_FAIL_POINT("earlier try deleted");
}

void commit(FileSystem& files, const std::string& store, const Manifest& manifest) {
  const auto& id = manifest.checkpoint;
  const auto partial = partial_path(store, id);
  LOCKSTEP_FAIL_POINT("commit begun");
  const auto file = files.create(partial + "/manifest.json");
  LOCKSTEP_FAIL_POINT("manifest created");
  const auto text = encode_manifest(manifest);
  file->append(std::as_bytes(std::span(text)));
  LOCKSTEP_FAIL_POINT("manifest written");
  file->finish();
  LOCKSTEP_FAIL_POINT("manifest fsynced");
  files.sync_folder(partial);
  LOCKSTEP_FAIL_POINT("partial fsynced");
  require_newest(files, store, id.attempt);
  LOCKSTEP_FAIL_POINT("newest looked at");
  files.rename(partial, checkpoint_path(store, id));
  LOCKSTEP_FAIL_POINT("renamed");
  files.sync_folder(checkpoints_path(store));
  LOCKSTEP_FAIL_POINT("checkpoints fsynced");
  require_newest(files, store, id.attempt);
  LOCKSTEP_FAIL_POINT("newest looked at again");
}

void abandon_commit(FileSystem& files, const std::string& store, const CheckpointId& id) {
  const auto folder = partial_path(store, id);
  if (!files.info(folder)) return;
  empty_folder(files, folder);
  files.remove_folder(folder);
}

}  // namespace lockstep
