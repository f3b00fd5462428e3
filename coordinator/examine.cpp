#include "coordinator/examine.h"

#include "common/error.h"
#include "common/names.h"
#include "common/open_shard.h"
#include "common/retries.h"

namespace lockstep {

std::string folder_of(const std::string& store, const CheckpointView& checkpoint) {
  return checkpoint.trash ? checkpoints_path(store) + "/" + *checkpoint.trash
                          : checkpoint_path(store, checkpoint.id);
}

namespace {

std::string read_manifest_text(const FileSystem& files, const std::string& folder) {
  try {
    return with_retries(
        [&] { return read_small_file(files, folder + "/manifest.json", kMaxManifestBytes); });
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
    throw Error(ErrorCode::kDamaged, "manifest.json is " + std::string(kMissing));
  }
}

}  // namespace

void note_damage(Examined& found, const std::string& why) {
  found.state = CheckpointState::kDamaged;
  found.why = why;
}

Examined examine_manifest(const FileSystem& files, const std::string& folder,
                          const CheckpointId& checkpoint) {
  Examined found;
  try {
    const auto text = read_manifest_text(files, folder);
    found.bytes = text.size();
    found.manifest = parse_manifest(text, checkpoint, "manifest.json");
    found.manifest_digest = manifest_digest(text);
    for (const auto& shard : found.manifest->shards)
      found.bytes += shard.bytes;
    if (!found.manifest->finite) found.state = CheckpointState::kNotFinite;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kDamaged) throw;
    note_damage(found, e.what());
  }
  return found;
}

void examine_shard(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                   std::int64_t index, Depth depth,
                   const std::function<void(std::uint64_t)>& progress) {
  std::uint64_t verified = 0;  // blocks; a new try carries on behind them
  // Tried again from a new look-up on: a stale handle stays stale.
  with_retries([&] {
    if (depth != Depth::kBytes && has_listed_header(files, folder, manifest, index)) return;
    OpenShard shard(files, folder, manifest, index, "shard " + std::to_string(index));
    for (; depth == Depth::kBytes && verified < shard.blocks(); ++verified) {
      const auto bytes = shard.block(verified).size();
      if (progress) progress(bytes);
    }
  });
}

Examined examine_folder(const FileSystem& files, const std::string& folder, const CheckpointId& id,
                        Depth depth, const ReadProgress& progress) {
  auto found = examine_manifest(files, folder, id);
  if (!found.manifest) return found;
  if (depth == Depth::kBytes && progress.on_total)
    progress.on_total(data_bytes(found.manifest->tensors));
  try {
    const auto shards = static_cast<std::int64_t>(found.manifest->shards.size());
    for (std::int64_t i = 0; i < shards; ++i)
      examine_shard(files, folder, *found.manifest, i, depth, progress.on_verified);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kDamaged) throw;
    note_damage(found, e.what());
  }
  return found;
}

Examined examine(const FileSystem& files, const std::string& store,
                 const CheckpointView& checkpoint, Depth depth, const ReadProgress& progress) {
  return examine_folder(files, folder_of(store, checkpoint), checkpoint.id, depth, progress);
}

}  // namespace lockstep
