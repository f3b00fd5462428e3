#include "coordinator/retention.h"

#include <algorithm>

#include "common/error.h"
#include "coordinator/attempt.h"
#include "coordinator/catalog.h"
#include "coordinator/lineage.h"

namespace lockstep {

std::vector<CheckpointId> choose_deletions(const StoreView& store, std::int64_t attempt,
                                           const RetentionRule& rule,
                                           const std::set<CheckpointId>& pins) {
  std::vector<CheckpointId> gone;
  std::int64_t good = 0;
  bool non_finite_kept = false;
  for (const auto& id : lineage(store, attempt)) {
    const auto* view = store.checkpoint(id);
    const bool behind = good >= std::max<std::int64_t>(rule.keep_last, 1);
    bool goes = behind;
    if (view->examined && view->examined->state == CheckpointState::kNotFinite) {
      goes = behind || non_finite_kept;
      non_finite_kept = true;
    } else if (!behind && view->examined && view->examined->state == CheckpointState::kGood) {
      ++good;
    }
    if (goes && !pins.contains(id)) gone.push_back(id);
  }
  return gone;
}

namespace {

void unlink_files(FileSystem& files, const std::string& folder) {
  const auto entries = files.list(folder);
  files.unlink(folder + "/manifest.json");
  for (const auto& entry : entries)
    files.unlink(folder + "/" + entry.name);
  files.remove_folder(folder);
}

void trash_and_unlink(FileSystem& files, const std::string& store, const std::string& place,
                      const TrashName& name) {
  const auto trash = checkpoints_path(store) + "/" + trash_folder(name);
  files.rename(place, trash);
  try {
    require_newest(files, store, name.deleter);
  } catch (const Error&) {
    files.rename(trash, place);
    throw;
  }
  unlink_files(files, trash);
}

}  // namespace

void delete_checkpoint(FileSystem& files, const std::string& store, std::int64_t deleter,
                       const CheckpointId& checkpoint) {
  trash_and_unlink(files, store, checkpoint_path(store, checkpoint),
                   {deleter, random_hex(16), checkpoint, false});
}

std::vector<CheckpointId> retain(FileSystem& files, const std::string& store, std::int64_t mine,
                                 const RetentionRule& rule) {
  auto view = scan_store(files, store);
  std::int64_t good = 0;
  for (const auto& id : lineage(view, mine)) {
    if (good >= rule.keep_last) break;
    auto* checkpoint = view.checkpoint(id);
    checkpoint->examined = examine(files, store, *checkpoint, Depth::kHeaders);
    if (checkpoint->examined->state == CheckpointState::kGood) ++good;
  }
  std::vector<CheckpointId> deleted;
  for (const auto& id : choose_deletions(view, mine, rule, read_pins(files, store))) {
    if (view.checkpoint(id)->trash) continue;
    delete_checkpoint(files, store, mine, id);
    deleted.push_back(id);
  }
  return deleted;
}

void sweep_partials(FileSystem& files, const std::string& store, std::int64_t mine) {
  const auto folder = checkpoints_path(store);
  for (const auto& entry : files.list(folder)) {
    if (entry.kind != EntryKind::kFolder) continue;
    if (const auto partial = parse_partial_folder(entry.name); partial && partial->attempt < mine)
      trash_and_unlink(files, store, folder + "/" + entry.name,
                       {mine, random_hex(16), *partial, true});
    if (const auto trash = parse_trash_folder(entry.name); trash && trash->deleter < mine) {
      // A checkpoint's, with a manifest and without its deleter's outcome, may be on its way back.
      const bool over = trash->partial ||
                        files.info(attempt_path(store, trash->deleter) + "/outcome.json") ||
                        !files.info(folder + "/" + entry.name + "/manifest.json");
      if (over) unlink_files(files, folder + "/" + entry.name);
    }
  }
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
  if (files.info(place + "/manifest.json")) return true;
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
