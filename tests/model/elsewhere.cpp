#include "tests/model/elsewhere.h"

#include <array>

#include "tests/model/sleeper.h"

namespace lockstep::model {

namespace {

void copy_tree(MemoryFileSystem& disk, const std::string& from, const std::string& to) {
  disk.make_folder(to);
  for (const auto& entry : disk.list(from)) {
    const auto source = from + "/" + entry.name;
    const auto target = to + "/" + entry.name;
    if (entry.kind == EntryKind::kFolder) {
      copy_tree(disk, source, target);
      continue;
    }
    const auto file = disk.create(target);
    file->append(std::as_bytes(std::span(*disk.bytes(source))));
    file->finish();
  }
  disk.sync_folder(to);
}

void remove_tree(MemoryFileSystem& disk, const std::string& path) {
  if (!disk.info(path)) return;
  for (const auto& entry : disk.list(path)) {
    const auto inner = path + "/" + entry.name;
    entry.kind == EntryKind::kFolder ? remove_tree(disk, inner) : disk.unlink(inner);
  }
  disk.remove_folder(path);
}

// A checkpoint's folder by its path.
struct Folder {
  CheckpointId id;
  const KnownCheckpoint* known = nullptr;
  std::optional<std::string> store_id;
  bool is_named = true;  // after its checkpoint
};

std::optional<Folder> folder_at(const World& world, const std::string& path) {
  for (const auto* ledger : {&world.ledger, &world.other, &world.copy})
    for (const auto& [id, known] : ledger->checkpoints)
      if (ledger->place_of(id) == path) return Folder{id, &known, ledger->id_on(world.disk)};
  if (const auto it = world.loose.find(path); it != world.loose.end())
    return Folder{it->second.id, &it->second.known, std::nullopt, !path.ends_with("/loose")};
  return std::nullopt;
}

Source checkpoint_at(const World& world, const std::string& path) {
  Source source{.path = path};
  const auto folder = folder_at(world, path);
  if (!folder || !world.disk.info(path)) return source;
  const auto fact = Ledger::fact_at(world.disk, path, *folder->known);
  if (!world.disk.info(path + "/manifest.json")) {
    source.kind = folder->is_named ? Source::Kind::kBroken : Source::Kind::kForeign;
  } else if (!folder->is_named && !fact.manifest_whole) {
    source.kind = Source::Kind::kBroken;  // nothing says which one it is
  } else {
    source.kind = Source::Kind::kCheckpoint;
    source.facts.id = folder->store_id;
    source.facts.checkpoints.emplace(folder->id, fact);
  }
  return source;
}

}  // namespace

Source source_of(const World& world, const std::string& path) {
  for (const auto* ledger : {&world.ledger, &world.other, &world.copy}) {
    if (ledger->store != path) continue;
    if (!world.disk.info(path)) return {.path = path};
    if (!ledger->id_on(world.disk)) return {.kind = Source::Kind::kForeign, .path = path};
    return {.kind = Source::Kind::kStore, .path = path, .facts = ledger->facts(world.disk)};
  }
  return checkpoint_at(world, path);
}

bool is_whole_on(const World& world, const std::string& path, const CheckpointId& id) {
  for (const auto* ledger : {&world.ledger, &world.other, &world.copy})
    if (ledger->store == path)
      return ledger->checkpoints.contains(id) && ledger->is_whole(world.disk, id);
  const auto folder = folder_at(world, path);
  return folder && Ledger::is_whole_in(world.disk, path, *folder->known);
}

void copy_store(World& world) {
  if (!world.disk.info(world.ledger.store)) return world.tell("nothing to copy");
  ++world.wakes;
  remove_tree(world.disk, world.copy.store);
  const auto path = world.copy.store;
  world.copy = world.ledger;
  world.copy.store = path;
  copy_tree(world.disk, world.ledger.store, path);
  world.disk.sync_folder(kFolder);
  world.counts.add("copies of the store");
  world.tell("the store is copied to " + path);
}

void copy_loose(World& world, const Ledger& ledger, const CheckpointId& id) {
  const auto place = ledger.place_of(id);
  if (!world.disk.info(place)) return world.tell("nothing to copy");
  ++world.wakes;
  const auto path =
      kFolder + (world.random.percent(50) ? "/loose" : place.substr(place.rfind('/')));
  remove_tree(world.disk, path);
  copy_tree(world.disk, place, path);
  world.disk.sync_folder(kFolder);
  world.loose[path] = {id, ledger.checkpoints.at(id)};
  world.counts.add("loose checkpoints");
  world.tell(place + " is copied to " + path);
}

void remove_some(World& world) {
  std::vector<std::string> there;
  for (const auto* ledger : {&world.other, &world.copy})
    if (world.disk.info(ledger->store)) there.push_back(ledger->store);
  for (const auto& [path, loose] : world.loose)
    there.push_back(path);
  if (there.empty()) return world.tell("nothing to remove");
  remove_elsewhere(world, world.random.pick(there));
}

void remove_elsewhere(World& world, const std::string& path) {
  if (path.starts_with(world.ledger.store)) return;
  ++world.wakes;
  world.tell(path + " is removed");
  world.counts.add("removed, what may be restored from");
  if (path == world.other.store)
    std::erase_if(world.sleepers,
                  [&](const auto& sleeper) { return &sleeper->job().ledger() == &world.other; });
  remove_tree(world.disk, path);
  world.disk.sync_folder(kFolder);
  for (auto* ledger : {&world.other, &world.copy})
    if (ledger->store == path) *ledger = Ledger(path);
  world.loose.erase(path);
}

}  // namespace lockstep::model
