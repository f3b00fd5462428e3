#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "coordinator/store_view.h"

namespace lockstep::cli {

// A store that is there, at its real path: a store may be a link.
struct OpenStore {
  std::string path;
  StoreView view;
};

// Local: Error(kInvalidConfig) where `given` is no store.
OpenStore open_store(const FileSystem& files, const std::string& given);

// Local: what a user means by `latest`, `best`, `1200` (newest lineage) or `3@1200`; `best` opens
// the lineage. Error(kInvalidConfig) that lists what there is.
CheckpointId resolve(const FileSystem& files, OpenStore& store, const std::string& text);

// Local: resolve, and its manifest with every shard's header checked. Error(kDamaged) where the
// manifest can't be told.
struct ShownCheckpoint {
  CheckpointId id;
  std::string folder;
  Examined found;
};
ShownCheckpoint examine_named(const FileSystem& files, OpenStore& store, const std::string& text);

}  // namespace lockstep::cli
