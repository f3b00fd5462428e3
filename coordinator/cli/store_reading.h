#pragma once

#include <cstdint>
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

// Pure: what a user means by `latest`, `1200` (newest lineage) or `3@1200`.
// Error(kNotFound) that lists what there is; kInvalidConfig where it is none of these.
CheckpointId resolve(const StoreView& store, const std::string& text);

// Pure: "1.4 GiB"; "3 min" since an RFC 3339 time, "?" where it is none.
std::string bytes_text(std::uint64_t bytes);
std::string age_text(const std::string& created);

// Pure: columns of equal width, two spaces between, no trailing blanks, control characters escaped.
std::string table(std::vector<std::vector<std::string>> rows);

}  // namespace lockstep::cli
