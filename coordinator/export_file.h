#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/manifest.h"

namespace lockstep {

// A checkpoint as one plain safetensors file of whole tensors.

enum class Scope : std::uint8_t { kFull, kModel };

// Pure: the tensors of a scope; model: weights and buffers. In the manifest's order, but those with
// wider elements first: so each begins at a multiple of its width.
std::vector<TensorInfo> tensors_to_export(const Manifest& manifest, Scope scope);

struct Export {
  std::string folder;  // of the checkpoint
  const Manifest& manifest;
  std::vector<TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
  std::string out;
  bool replace = false;  // a file that is there
};

// Local: writes the file, each byte verified as it is copied: under a temporary name beside `out`,
// fsynced, then linked into place, or renamed over what is there. So `out` is whole or as it was.
// Error(kInvalidConfig) where `out` is there and may not be replaced, also where it has come
// meanwhile; kDamaged; kIo. The temporary file is removed after any error.
// Cost: memory one block and the reader's open shards. `progress` is told the bytes written.
void export_file(FileSystem& files, const Export& what,
                 const std::function<void(std::uint64_t)>& progress = {});

}  // namespace lockstep
