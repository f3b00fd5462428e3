#pragma once

#include <string>

#include "common/file_system.h"
#include "coordinator/catalog.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Reads what `restore.from` names: another store, one checkpoint's folder, a safetensors file, or
// an index of several. Nothing is written there: it may be a colleague's. All: Local.

// Error(kNotFound): not there; kMismatch: none of the four; kDamaged: weights that are no
// safetensors; kIo.
SourceView read_source(const FileSystem& files, const std::string& path);

// Opens one checkpoint of a source.
Examined examine(const FileSystem& files, const SourceView& source,
                 const CheckpointView& checkpoint, Depth depth);

// Pure: the folder of a checkpoint of a source.
std::string folder_of(const SourceView& source, const CheckpointId& id);

}  // namespace lockstep
