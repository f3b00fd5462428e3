#include "coordinator/pins.h"

#include "common/error.h"
#include "coordinator/attempt.h"

namespace lockstep {

namespace {

std::string pin_path(const std::string& store, const CheckpointId& checkpoint) {
  return pins_path(store) + "/" + to_text(checkpoint);
}

}  // namespace

std::set<CheckpointId> read_pins(const FileSystem& files, const std::string& store) {
  std::set<CheckpointId> pins;
  try {
    for (const auto& entry : files.list(pins_path(store)))
      if (const auto id = parse_checkpoint_id(entry.name)) pins.insert(*id);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
  }
  return pins;
}

std::set<CheckpointId> read_pins_afresh(FileSystem& files, const std::string& store) {
  refresh_listing(files, store);  // pins/ itself may be new
  if (!files.info(pins_path(store))) return {};
  refresh_listing(files, pins_path(store));
  return read_pins(files, store);
}

bool pin(FileSystem& files, const std::string& store, const CheckpointId& checkpoint) {
  const auto path = pin_path(store, checkpoint);
  if (files.info(path)) return false;
  files.make_folder(pins_path(store));
  files.sync_folder(store);
  write_durably(files, path, "");
  return true;
}

bool unpin(FileSystem& files, const std::string& store, const CheckpointId& checkpoint) {
  const auto path = pin_path(store, checkpoint);
  if (!files.info(path)) return false;
  files.unlink(path);
  files.sync_folder(pins_path(store));
  return true;
}

}  // namespace lockstep
