#include "coordinator/examine_all.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "common/parallel.h"

namespace lockstep {

namespace {

// One checkpoint's part of the work. Each field is written by one thread.
struct Case {
  CheckpointView* checkpoint = nullptr;
  Examined found;
  std::vector<std::optional<std::string>> shard_damage;
  std::vector<std::optional<std::string>> shard_unreadable;
  std::optional<std::string> unreadable;
};

struct Unit {
  std::size_t at = 0;  // of the case
  std::int64_t shard = 0;
};

// Runs `look`; what is damaged or can't be read now is noted, all else passes.
template <typename Look>
void noting(std::optional<std::string>& damage, std::optional<std::string>& unreadable,
            Look&& look) {
  try {
    look();
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kDamaged) {
      damage = e.what();
    } else if (e.code() == ErrorCode::kIo) {
      unreadable = e.what();
    } else {
      throw;
    }
  }
}

std::vector<Unit> units_of(std::vector<Case>& cases, Depth depth) {
  std::vector<Unit> units;
  if (depth == Depth::kManifest) return units;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto& manifest = cases[i].found.manifest;
    if (!manifest) continue;
    const auto shards = manifest->shards.size();
    cases[i].shard_damage.resize(shards);
    cases[i].shard_unreadable.resize(shards);
    for (std::size_t s = 0; s < shards; ++s)
      units.push_back({i, static_cast<std::int64_t>(s)});
  }
  return units;
}

std::uint64_t data_bytes_of(const std::vector<Case>& cases) {
  std::uint64_t bytes = 0;
  for (const auto& one : cases)
    if (one.found.manifest) bytes += data_bytes(one.found.manifest->tensors);
  return bytes;
}

// The lowest shard speaks for the checkpoint, as where they are read one after the other.
void gather(Case& one) {
  for (const auto& damage : one.shard_damage)
    if (damage && one.found.state != CheckpointState::kDamaged) note_damage(one.found, *damage);
  for (const auto& unreadable : one.shard_unreadable)
    if (unreadable && !one.unreadable) one.unreadable = unreadable;
}

// Says that this many files will be opened next; what to call for each that is.
std::function<void()> counting(const ReadProgress& progress, std::size_t files) {
  if (progress.on_count) progress.on_count(files);
  return progress.on_opened ? progress.on_opened : [] {};
}

void look_at(const FileSystem& files, const std::string& store, std::vector<Case>& cases,
             const ExamineOptions& options) {
  const auto threads = options.threads > 0 ? options.threads : reading_threads();
  const auto& progress = options.progress;
  const auto manifest_read = counting(progress, cases.size());
  for_each_index(cases.size(), threads, [&](std::size_t i) {
    std::optional<std::string> damage;
    noting(damage, cases[i].unreadable, [&] {
      cases[i].found =
          examine_manifest(files, folder_of(store, *cases[i].checkpoint), cases[i].checkpoint->id);
    });
    manifest_read();
  });
  const auto units = units_of(cases, options.depth);
  const bool whole = options.depth == Depth::kBytes;
  if (whole && progress.on_total) progress.on_total(data_bytes_of(cases));
  const std::function<void()> shard_read = whole ? [] {} : counting(progress, units.size());
  for_each_index(units.size(), threads, [&](std::size_t i) {
    auto& one = cases[units[i].at];
    const auto shard = static_cast<std::size_t>(units[i].shard);
    noting(one.shard_damage[shard], one.shard_unreadable[shard], [&] {
      examine_shard(files, folder_of(store, *one.checkpoint), *one.found.manifest, units[i].shard,
                    options.depth, progress.on_verified);
    });
    shard_read();
  });
  for (auto& one : cases)
    gather(one);
}

// What looks damaged may have been deleted, or renamed into or out of trash, while it was read.
void look_again(const FileSystem& files, const std::string& store, std::vector<Case>& cases,
                const ExamineOptions& options, ExaminedAll& all) {
  const auto damaged = [](const Case& one) { return one.found.state == CheckpointState::kDamaged; };
  if (std::ranges::none_of(cases, damaged)) return;
  const auto fresh = scan_store(files, store);
  for (auto& one : cases) {
    if (!damaged(one)) continue;
    const auto* now = fresh.checkpoint(one.checkpoint->id);
    if (now == nullptr) {
      all.gone.push_back(one.checkpoint->id);
    } else if (now->gone) {
      one.found = *now->examined;
    } else if (now->trash != one.checkpoint->trash) {
      one.checkpoint->trash = now->trash;
      one.found = examine(files, store, *one.checkpoint, options.depth);
    }
  }
}

}  // namespace

ExaminedAll examine_all(const FileSystem& files, const std::string& store, StoreView& view,
                        std::span<const CheckpointId> checkpoints, const ExamineOptions& options) {
  std::vector<Case> cases;
  for (const auto& id : checkpoints)
    if (auto* checkpoint = view.checkpoint(id); checkpoint != nullptr && !checkpoint->gone)
      cases.push_back({checkpoint, {}, {}, {}, {}});
  look_at(files, store, cases, options);
  ExaminedAll all;
  look_again(files, store, cases, options, all);
  for (auto& one : cases) {
    if (one.unreadable && one.found.state != CheckpointState::kDamaged) {
      all.unreadable.push_back({one.checkpoint->id, *one.unreadable});
    } else {
      one.checkpoint->examined = std::move(one.found);
    }
  }
  std::erase_if(view.checkpoints, [&](const CheckpointView& checkpoint) {
    return std::ranges::find(all.gone, checkpoint.id) != all.gone.end();
  });
  return all;
}

std::vector<CheckpointId> examine_headers(const FileSystem& files, const std::string& store,
                                          StoreView& view,
                                          std::span<const CheckpointId> checkpoints,
                                          const ReadProgress& progress) {
  const auto all = examine_all(files, store, view, checkpoints, {.progress = progress});
  if (!all.unreadable.empty())
    throw Error(ErrorCode::kIo,
                to_text(all.unreadable.front().checkpoint) + ": " + all.unreadable.front().why);
  std::vector<CheckpointId> left;
  for (const auto& id : checkpoints)
    if (view.checkpoint(id) != nullptr) left.push_back(id);
  return left;
}

}  // namespace lockstep
