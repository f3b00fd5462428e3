#include "coordinator/catalog.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "common/error.h"
#include "common/retries.h"
#include "coordinator/lineage.h"

namespace lockstep {

namespace {

std::vector<Entry> list_if_there(const FileSystem& files, const std::string& folder) {
  return with_retries([&] {
    try {
      return files.list(folder);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kNotFound) return std::vector<Entry>{};
      throw;
    }
  });
}

std::optional<std::string> read_store_id(const FileSystem& files, const std::string& store) {
  return with_retries([&]() -> std::optional<std::string> {
    std::string text;
    try {
      text = read_small_file(files, store_file(store), kRecordBytes);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::kNotFound) return std::nullopt;
      throw;
    }
    try {
      const auto record = parse_store_record(text, "store.json");
      if (record.format_version != 1)
        throw Error(ErrorCode::kMismatch, store + ": store.json says format_version " +
                                              std::to_string(record.format_version) +
                                              "; this lockstep reads version 1");
      return record.id;
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kDamaged) throw;
      throw Error(ErrorCode::kMismatch,
                  store + ": " + e.what() + "; it is never made anew: bring it back from a copy");
    }
  });
}

bool has_manifest(const FileSystem& files, const std::string& folder) {
  const auto info = with_retries([&] { return files.info(folder + "/manifest.json"); });
  return info && info->kind == EntryKind::kFile;
}

// What deleters without outcome have in trash. Where a checkpoint stands in its place too, that
// counts.
void add_trash(const FileSystem& files, const std::string& store, StoreView& view,
               std::vector<TrashName> trash) {
  std::sort(trash.begin(), trash.end(), [](const TrashName& a, const TrashName& b) {
    return trash_folder(a) < trash_folder(b);
  });
  for (const auto& name : trash) {
    const auto* deleter = view.attempt(name.deleter);
    const auto folder = checkpoints_path(store) + "/" + trash_folder(name);
    if ((deleter == nullptr || !deleter->outcome) && has_manifest(files, folder) &&
        view.checkpoint(name.checkpoint) == nullptr)
      view.checkpoints.insert(
          std::find_if(view.checkpoints.begin(), view.checkpoints.end(),
                       [&](const CheckpointView& c) { return name.checkpoint < c.id; }),
          {name.checkpoint, std::nullopt, trash_folder(name)});
  }
}

void add_checkpoints(const FileSystem& files, const std::string& store, StoreView& view,
                     const std::vector<Entry>& entries, Claims claims,
                     const ReadProgress& progress) {
  std::set<std::int64_t> numbers;
  std::vector<TrashName> trash;
  std::vector<CheckpointId> ids;  // sorted as they are: a view is large to move
  ids.reserve(entries.size());
  for (const auto& entry : entries) {
    if (entry.kind != EntryKind::kFolder) continue;
    if (const auto id = parse_checkpoint_folder(entry.name)) {
      ids.push_back(*id);
      numbers.insert(numbers.end(), id->attempt);
    } else if (const auto partial = parse_partial_folder(entry.name)) {
      numbers.insert(partial->attempt);
    } else if (auto name = parse_trash_folder(entry.name)) {
      numbers.insert(name->deleter);
      numbers.insert(name->checkpoint.attempt);
      if (!name->partial) trash.push_back(std::move(*name));
    }
  }
  // Who has a checkpoint has decided: perhaps only after its records were read.
  std::erase_if(view.attempts, [&](const AttemptView& a) {
    return !a.decision && a.damage.empty() && numbers.contains(a.number);
  });
  read_attempts(files, store, view, numbers, claims, progress);
  std::sort(ids.begin(), ids.end());
  view.checkpoints.reserve(ids.size());
  for (const auto& id : ids)
    view.checkpoints.push_back({id, std::nullopt, std::nullopt});
  add_trash(files, store, view, std::move(trash));
}

}  // namespace

namespace {

// Where decision.json is damaged the attempt's own manifests say what its parent is. Nothing more
// is kept of what was read: how sound a checkpoint is, is found out as deeply as it is asked for.
void open_for_lost_parents(const FileSystem& files, const std::string& store, StoreView& view) {
  for (auto& attempt : view.attempts) {
    if (attempt.decision) continue;
    for (const auto& checkpoint : view.checkpoints) {
      if (checkpoint.id.attempt != attempt.number) continue;
      const auto found = examine(files, store, checkpoint, Depth::kHeaders);
      if (found.manifest) attempt.told_parent = found.manifest->parent;
      if (attempt.told_parent) break;
    }
  }
}

// Whether a folder of the store is there. What stands in its place and is none must not look like
// "nothing there yet": a link is not followed, so its checkpoints would be silently out of sight.
bool require_folder(const FileSystem& files, const std::string& folder) {
  const auto info = with_retries([&] { return files.info(folder); });
  if (info && info->kind != EntryKind::kFolder)
    throw Error(ErrorCode::kMismatch,
                folder +
                    " is no folder; inside a store nothing may be a link: move the whole store, "
                    "and let store: name its new place");
  return info.has_value();
}

void require_one_store(const StoreView& view, const std::string& store) {
  if (view.highest_attempt() == INT64_MAX)
    throw Error(ErrorCode::kMismatch,
                store + ": a name in attempts/ or checkpoints/ takes the last " +
                    "number there is, " + std::to_string(INT64_MAX) + "; it is foreign: remove it");
  for (const auto& attempt : view.attempts)
    if (attempt.claim && view.id && attempt.claim->store_id != *view.id)
      throw Error(ErrorCode::kMismatch, store + ": store.json and attempt " +
                                            std::to_string(attempt.number) +
                                            " are of different stores; bring the store's own "
                                            "store.json back from a copy");
}

// Later attempts may have deleted what earlier ones committed; nobody what the newest did last.
void add_missing_commit(StoreView& view) {
  const auto newest = newest_attempt(view);
  if (!newest) return;
  const auto& attempt = *view.attempt(*newest);
  auto last = attempt.outcome ? attempt.outcome->last_committed_iteration : std::nullopt;
  if (!last && attempt.heartbeat) last = attempt.heartbeat->last_committed;
  if (!last || view.checkpoint({*newest, *last}) != nullptr) return;
  // One that has committed since its record was read may have deleted what was its last then.
  const bool went_on = std::any_of(
      view.checkpoints.begin(), view.checkpoints.end(),
      [&](const CheckpointView& c) { return c.id.attempt == *newest && c.id.iteration > *last; });
  if (went_on) return;
  CheckpointView lost{{*newest, *last}, Examined{}};
  lost.gone = true;
  lost.examined->state = CheckpointState::kDamaged;
  lost.examined->why = "gone, though its attempt says that it was committed";
  view.checkpoints.insert(
      std::upper_bound(view.checkpoints.begin(), view.checkpoints.end(), lost.id,
                       [](const CheckpointId& a, const CheckpointView& b) { return a < b.id; }),
      std::move(lost));
}

}  // namespace

namespace {

// What lies in a store's own folders is that store's: another one there would be swept, or write
// into checkpoints.
void require_outside(const FileSystem& files, const std::string& store) {
  const std::filesystem::path path(store);
  const auto own = {"attempts", "checkpoints", "pins", "tensorboard"};
  for (auto folder = path; folder.has_relative_path(); folder = folder.parent_path()) {
    const auto parent = folder.parent_path().string();
    if (std::ranges::find(own, folder.filename().string()) == own.end() ||
        !files.info(store_file(parent)))
      continue;
    throw Error(ErrorCode::kMismatch,
                store + " lies within the store " + parent + "; did you mean that one?");
  }
}

}  // namespace

// Others may write meanwhile, so what they make first is read last: an attempt is claimed where
// store.json and checkpoints/ are, and a record names a checkpoint that is there already.
StoreView scan_store(const FileSystem& files, const std::string& store,
                     std::optional<std::int64_t> own, const StoreView& before, Claims claims,
                     const ReadProgress& progress) {
  StoreView view;
  const auto info = with_retries([&] { return files.info(store); });
  if (!info) {
    require_outside(files, store);
    const auto parent = std::filesystem::path(store).parent_path().string();
    view.can_be_made = with_retries([&] { return files.info(parent); }).has_value();
    return view;
  }
  if (info->kind != EntryKind::kFolder)
    throw Error(ErrorCode::kMismatch, store + " is no folder; store: names a folder");
  view.exists = true;
  view.id = read_store_id(files, store);
  require_folder(files, attempts_path(store));
  const auto attempts = list_if_there(files, attempts_path(store));
  // Whatever bears the name of an attempt has taken its number, be it a folder or not.
  std::set<std::int64_t> numbers;
  for (const auto& entry : attempts)
    if (const auto number = parse_attempt_folder(entry.name)) numbers.insert(*number);
  keep_ended_attempts(before, view, numbers, claims);
  read_attempts(files, store, view, numbers, claims, progress);
  const bool has_checkpoints = require_folder(files, checkpoints_path(store));
  const auto checkpoints = list_if_there(files, checkpoints_path(store));
  const bool in_use = !attempts.empty() || !checkpoints.empty();
  if (!view.id && in_use) view.id = read_store_id(files, store);
  if (!view.id) require_outside(files, store);
  if (!view.id && files.info(store_file(checkpoints_path(store))))
    throw Error(ErrorCode::kMismatch, store + " is no store; did you mean " +
                                          checkpoints_path(store) + ", which is one?");
  if (!view.id && in_use)
    throw Error(ErrorCode::kMismatch,
                store +
                    " has attempts or checkpoints but no store.json: it is not whole, or no "
                    "store; bring store.json back from a copy, or name another folder");
  // An attempt is claimed only where both folders are: one that is gone took checkpoints with it.
  if (!attempts.empty() && !has_checkpoints)
    throw Error(ErrorCode::kMismatch, store +
                                          " has attempts but no checkpoints/: it is not whole; " +
                                          "bring checkpoints/ back, or name another folder");
  add_checkpoints(files, store, view, checkpoints, claims, progress);
  read_newest_claim(files, store, view);
  require_one_store(view, store);
  if (own && view.highest_attempt() == *own) view.attempts.pop_back();
  read_newest_heartbeat(files, store, view);
  note_missing_records(view);
  add_missing_commit(view);
  open_for_lost_parents(files, store, view);
  return view;
}

namespace {

bool lacks_commit(const StoreView& store) {
  return std::any_of(store.checkpoints.begin(), store.checkpoints.end(),
                     [](const CheckpointView& c) { return c.gone; });
}

}  // namespace

StoreView scan_patiently(const FileSystem& files, const std::string& store, const Clock& clock,
                         const std::function<StoreView()>& scan) {
  constexpr double kPatienceSeconds = 60;
  for (const double end_s = clock.now_s() + kPatienceSeconds;; clock.sleep(1)) {
    auto view = scan();
    if (!lacks_commit(view) || !files.is_network(store) || clock.now_s() >= end_s) return view;
  }
}

}  // namespace lockstep
