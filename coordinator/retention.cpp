#include "coordinator/retention.h"

#include <optional>
#include <vector>

#include "common/error.h"
#include "common/retries.h"
#include "coordinator/attempt.h"
#include "coordinator/catalog.h"
#include "coordinator/commit.h"
#include "coordinator/pins.h"

namespace lockstep {

namespace {

bool has_manifest(const FileSystem& files, const std::string& folder) {
  return files.info(folder + "/manifest.json").has_value();
}

std::vector<Entry> list_if_there(const FileSystem& files, const std::string& folder) {
  try {
    return files.list(folder);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
    return {};
  }
}

// Where the folder is gone somebody who took over has brought it back: nothing is left to do.
void unlink_files(FileSystem& files, const std::string& folder) {
  const auto entries = list_if_there(files, folder);
  files.unlink(folder + "/manifest.json");
  // A folder that somebody put there stays, and so does its place; what takes space goes.
  std::optional<Error> left;
  for (const auto& entry : entries)
    try {
      files.unlink(folder + "/" + entry.name);
    } catch (const Error& e) {
      if (!left) left = e;
    }
  if (left) throw Error(*left);
  files.remove_folder(folder);
}

// A rename into trash, and what may follow it.
struct Trashing {
  std::string place;
  std::string trash;
  bool whole = false;  // had a manifest in its place
};

// Somebody who took over may have brought it back already, or may be sweeping it just now: then it
// must not come back without its manifest.
void put_back(FileSystem& files, const std::string& store, const Trashing& moved) {
  try {
    with_retries([&] { files.rename(moved.trash, moved.place); });
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
    return;
  }
  if (moved.whole && !has_manifest(files, moved.place)) files.rename(moved.place, moved.trash);
  // Before the outcome, with which trash no longer counts as present.
  files.sync_folder(checkpoints_path(store));
}

// `wanted`, asked after the rename: true brings it back. false: it was.
bool trash_and_unlink(FileSystem& files, const std::string& store, const std::string& place,
                      const TrashName& name, const std::function<bool()>& wanted = {}) {
  const Trashing moved{place, checkpoints_path(store) + "/" + trash_folder(name),
                       has_manifest(files, place)};
  files.rename(moved.place, moved.trash);
  bool stays = false;
  try {
    require_newest(files, store, name.deleter);
    stays = wanted && wanted();
  } catch (const Error& cause) {
    try {
      put_back(files, store, moved);
    } catch (const Error& e) {
      throw Error(cause.code(), std::string(cause.what()) + "; and " + e.what());
    }
    throw;
  }
  stays ? put_back(files, store, moved) : unlink_files(files, moved.trash);
  return !stays;
}

}  // namespace

void delete_checkpoint(FileSystem& files, const std::string& store, std::int64_t deleter,
                       const CheckpointId& checkpoint) {
  trash_and_unlink(files, store, checkpoint_path(store, checkpoint),
                   {deleter, random_hex(16), checkpoint, false});
}

bool delete_unpinned(FileSystem& files, const std::string& store, std::int64_t deleter,
                     const CheckpointView& checkpoint) {
  const auto place = folder_of(store, checkpoint);
  if (!files.info(place)) return false;
  return trash_and_unlink(files, store, place, {deleter, random_hex(16), checkpoint.id, false},
                          [&] { return read_pins_afresh(files, store).contains(checkpoint.id); });
}

namespace {

void sweep(FileSystem& files, const std::string& store, std::int64_t mine,
           const std::string& name) {
  const auto path = checkpoints_path(store) + "/" + name;
  if (const auto partial = parse_partial_folder(name); partial && partial->attempt < mine)
    trash_and_unlink(files, store, path, {mine, random_hex(16), *partial, true});
  if (const auto trash = parse_trash_folder(name); trash && trash->deleter < mine) {
    // A checkpoint's, with a manifest and without its deleter's outcome, may be on its way back.
    const bool over = trash->partial ||
                      files.info(attempt_path(store, trash->deleter) + "/outcome.json") ||
                      !has_manifest(files, path);
    if (over) unlink_files(files, path);
  }
}

}  // namespace

void sweep_partials(FileSystem& files, const std::string& store, std::int64_t mine) {
  std::optional<Error> left;  // the first that stays; the others are swept all the same
  for (const auto& entry : files.list(checkpoints_path(store))) {
    if (entry.kind != EntryKind::kFolder) continue;
    try {
      sweep(files, store, mine, entry.name);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kSuperseded) throw;
      // Its attempt is awake after all, and has renamed or removed it.
      if (e.code() != ErrorCode::kNotFound && !left) left = e;
    }
  }
  if (left) throw Error(*left);
}

void make_space(FileSystem& files, const std::string& store, std::int64_t mine,
                const std::function<std::optional<std::uint64_t>()>& free,
                std::uint64_t checkpoint_bytes) {
  const auto before = free();
  if (before && *before < checkpoint_bytes) try {
      sweep_partials(files, store, mine);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kSuperseded) throw;  // else the space tells
    }
  require_space(free(), checkpoint_bytes);
}

namespace {

// false: its deleter is awake after all, and has put it back or deleted it.
bool bring_back(FileSystem& files, const std::string& store, const CheckpointView& checkpoint) {
  const auto trash = folder_of(store, checkpoint);
  const auto place = checkpoint_path(store, checkpoint.id);
  try {
    files.rename(trash, place);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
    return false;
  }
  if (has_manifest(files, place)) return true;
  files.rename(place, trash);  // its manifest was unlinked first: nothing is left to keep
  return false;
}

}  // namespace

bool restore_trash(FileSystem& files, const std::string& store, StoreView& view) {
  bool any = false;
  bool all = true;
  for (auto& checkpoint : view.checkpoints) {
    if (!checkpoint.trash) continue;
    if (bring_back(files, store, checkpoint)) {
      checkpoint.trash.reset();
      any = true;
    } else {
      all = false;
    }
  }
  if (any) files.sync_folder(checkpoints_path(store));
  return all;
}

}  // namespace lockstep
