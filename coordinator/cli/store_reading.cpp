#include "coordinator/cli/store_reading.h"

#include <algorithm>
#include <filesystem>

#include "common/error.h"
#include "coordinator/best.h"
#include "coordinator/candidates.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/examine_all.h"
#include "coordinator/lineage.h"

namespace lockstep::cli {

namespace {

// It may be a folder of a store, or hold one.
[[noreturn]] void no_store(const FileSystem& files, const std::string& path,
                           const std::string& given) {
  std::string advice = "name the folder that store: of the configuration names";
  const auto parent = std::filesystem::path(path).parent_path().string();
  for (const auto& near : {parent, std::filesystem::path(parent).parent_path().string(),
                           path + "/checkpoints", path + "/store"})
    if (files.info(store_file(near))) {
      advice = "did you mean " + near + ", which is one?";
      break;
    }
  throw Error(ErrorCode::kInvalidConfig, given + " is no store: it holds no store.json; " + advice);
}

}  // namespace

OpenStore open_store(const FileSystem& files, const std::string& given) {
  OpenStore store;
  store.path = follow_links(given);
  {
    ProgressBar bar("reading attempts", Unit::kThings);
    store.view = scan_store(files, store.path, {}, {}, Claims::kAll, shown_on(bar));
  }
  if (!store.view.exists)
    throw Error(ErrorCode::kInvalidConfig,
                "no store at " + given +
                    "; name the folder that store: of the configuration names; a job's first "
                    "launch makes it");
  if (!store.view.id) no_store(files, store.path, given);
  return store;
}

namespace {

[[noreturn]] void not_there(const std::string& what, const std::vector<CheckpointId>& there) {
  std::vector<std::string> texts;
  for (const auto& id : there)
    texts.push_back(to_text(id));
  throw Error(ErrorCode::kInvalidConfig,
              what + "; there is " + (texts.empty() ? "none" : enumerate(texts)));
}

}  // namespace

namespace {

std::optional<KeepBest> newest_rule(const StoreView& store) {
  const auto newest = newest_attempt(store);
  return newest ? keep_best_of(*store.attempt(*newest)) : std::nullopt;
}

Pick best_by(const StoreView& store, const KeepBest& rule) {
  return pick_best(store, newest_lineage(store).checkpoints, rule, {}, "the newest lineage");
}

CheckpointId resolve_best(const FileSystem& files, OpenStore& store) {
  const auto rule = newest_rule(store.view);
  if (!rule)
    throw Error(ErrorCode::kInvalidConfig,
                "best goes by checkpoint.keep_best, which the newest attempt's configuration does "
                "not have; name a checkpoint");
  ProgressBar bar("opening files");
  examine_headers(files, store.path, store.view, newest_lineage(store.view).checkpoints,
                  shown_on(bar));
  const auto pick = best_by(store.view, *rule);
  if (!pick.chosen) throw Error(ErrorCode::kInvalidConfig, pick.error);
  return *pick.chosen;
}

CheckpointId resolve_id(const StoreView& store, const CheckpointId& id) {
  if (store.checkpoint(id) != nullptr) return id;
  std::vector<CheckpointId> all;
  for (auto it = store.checkpoints.rbegin(); it != store.checkpoints.rend(); ++it)
    all.push_back(it->id);
  not_there("no checkpoint " + to_text(id), all);
}

}  // namespace

CheckpointId resolve(const FileSystem& files, OpenStore& store, const std::string& text) {
  if (text == "best") return resolve_best(files, store);
  if (const auto id = parse_checkpoint_id(text)) return resolve_id(store.view, *id);
  const auto newest = newest_lineage(store.view).checkpoints;
  if (text == "latest") {
    if (newest.empty()) not_there("the store has no checkpoint", newest);
    return newest.front();
  }
  if (const auto id = parse_checkpoint_folder(text))
    throw Error(ErrorCode::kInvalidConfig,
                "'" + text + "' is the name of a folder; write " + to_text(*id));
  const auto iteration = parse_number(text);
  if (!iteration)
    throw Error(ErrorCode::kInvalidConfig,
                "'" + text + "' names no checkpoint; write latest, best, 1200 or 3@1200");
  const auto found = std::ranges::find(newest, *iteration, &CheckpointId::iteration);
  if (found == newest.end()) not_there("no iteration " + text + " in the newest lineage", newest);
  return *found;
}

ShownCheckpoint examine_named(const FileSystem& files, OpenStore& store, const std::string& text) {
  const auto id = resolve(files, store, text);
  const auto& view = *store.view.checkpoint(id);
  ShownCheckpoint shown{
      id, folder_of(store.path, view),
      view.gone ? *view.examined : examine(files, store.path, view, Depth::kHeaders)};
  if (!shown.found.manifest)
    throw Error(ErrorCode::kDamaged, to_text(id) + " is damaged: " + shown.found.why);
  return shown;
}

}  // namespace lockstep::cli
