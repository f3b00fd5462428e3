#include "coordinator/source.h"

#include <algorithm>
#include <filesystem>

#include "common/digest.h"
#include "common/error.h"
#include "common/retries.h"
#include "common/safetensors.h"
#include "coordinator/weights_index.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

bool has_file(const FileSystem& files, const std::string& path) {
  const auto info = files.info(path);
  return info && info->kind == EntryKind::kFile;
}

// The id of the store that a checkpoint's folder lies in; nullopt: it is a loose copy.
std::optional<std::string> store_around(const FileSystem& files, const std::string& folder) {
  const auto place = fs::path(folder).parent_path();
  if (place.filename() != "checkpoints") return std::nullopt;
  const auto store = place.parent_path().string();
  if (!has_file(files, store_file(store))) return std::nullopt;
  return scan_store(files, store).id;
}

SourceView read_checkpoint(const FileSystem& files, const std::string& folder) {
  SourceView source;
  source.kind = SourceKind::kCheckpoint;
  source.path = folder;
  source.store.exists = true;
  source.store.id = store_around(files, folder);
  CheckpointView view;
  // A copy may bear any name: then its own manifest is all that says which checkpoint it is.
  const auto named = parse_checkpoint_folder(fs::path(folder).filename().string());
  view.id = named ? *named
                  : checkpoint_of_manifest(
                        read_small_file(files, folder + "/manifest.json", kMaxManifestBytes));
  source.store.checkpoints.push_back(std::move(view));
  return source;
}

void add_file(const FileSystem& files, const std::string& path, Weights& weights) {
  const auto file = files.open(path);
  const auto header = read_safetensors_header(*file, path);
  for (const auto& entry : header.tensors)
    weights.tensors.push_back({{entry.name, entry.dtype, entry.shape},
                               weights.files.size(),
                               header.data_begin + entry.begin});
  weights.files.push_back({path, file->size(), header.digest});
}

SourceView read_weights(const FileSystem& files, const std::string& path) {
  SourceView source;
  source.kind = SourceKind::kWeights;
  source.path = path;
  if (path.ends_with(".json")) {
    const auto index = parse_weights_index(read_small_file(files, path), path);
    const auto folder = fs::path(path).parent_path().string();
    for (const auto& file : index.files)
      add_file(files, folder + "/" + file, source.weights);
    require_as_indexed(index, source.weights, path);
  } else {
    add_file(files, path, source.weights);
  }
  std::ranges::sort(source.weights.tensors, {},
                    [](const WeightTensor& w) { return w.tensor.name; });
  std::string text;
  for (const auto& file : source.weights.files)
    text += fs::path(file.path).filename().string() + " " + std::to_string(file.bytes) + " " +
            file.header_digest + "\n";
  source.digest = digest128(text);
  return source;
}

SourceView read_store(const FileSystem& files, const std::string& path, const Clock& clock) {
  SourceView source;
  source.path = path;
  source.store = scan_patiently(files, path, clock, [&] { return scan_store(files, path); });
  return source;
}

}  // namespace

namespace {

[[noreturn]] void throw_absent(const std::string& path) {
  throw Error(ErrorCode::kNotFound, "restore.from: " + path + " is not there");
}

SourceView read_once(const FileSystem& files, const std::string& path, const Clock& clock) {
  const auto info = files.info(path);
  if (!info) throw_absent(path);
  if (info->kind == EntryKind::kFile) return read_weights(files, path);
  if (info->kind == EntryKind::kFolder) {
    if (has_file(files, store_file(path))) return read_store(files, path, clock);
    if (has_file(files, path + "/manifest.json")) return read_checkpoint(files, path);
    // Asked again: a job there may have deleted it just now.
    if (parse_checkpoint_folder(fs::path(path).filename().string()) && files.info(path))
      throw Error(ErrorCode::kDamaged, "restore.from: " + path + " has no manifest.json");
  }
  if (!files.info(path)) throw_absent(path);
  throw Error(ErrorCode::kMismatch,
              "restore.from: " + path +
                  " is no store, no checkpoint's folder and no safetensors file; name one of "
                  "these, or the model.safetensors.index.json of several files");
}

}  // namespace

SourceView read_source(const FileSystem& files, const std::string& path, const Clock& clock) {
  return with_retries([&] { return read_once(files, path, clock); });
}

bool has_moved(const FileSystem& files, const SourceView& source,
               const CheckpointView& checkpoint) {
  const auto folder = folder_of(source, checkpoint.id);
  return !files.info(checkpoint.trash ? folder + "/manifest.json" : folder);
}

std::string folder_of(const SourceView& source, const CheckpointId& id) {
  if (source.kind == SourceKind::kCheckpoint) return source.path;
  const auto* view = source.store.checkpoint(id);
  return view != nullptr ? folder_of(source.path, *view) : checkpoint_path(source.path, id);
}

Examined examine(const FileSystem& files, const SourceView& source,
                 const CheckpointView& checkpoint, Depth depth, const ReadProgress& progress) {
  return examine_folder(files, folder_of(source, checkpoint.id), checkpoint.id, depth, progress);
}

}  // namespace lockstep
