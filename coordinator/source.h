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
// A store is scanned by scan_patiently.
SourceView read_source(const FileSystem& files, const std::string& path,
                       const Clock& clock = steady_clock());

// Opens one checkpoint of a source.
Examined examine(const FileSystem& files, const SourceView& source,
                 const CheckpointView& checkpoint, Depth depth, const ReadProgress& progress = {});

// Whether a checkpoint that was found damaged is no longer where the source was seen to have it: a
// job there renames or deletes it just now. Then nothing is proven.
bool has_moved(const FileSystem& files, const SourceView& source, const CheckpointView& checkpoint);

// Pure: the folder of a checkpoint of a source.
std::string folder_of(const SourceView& source, const CheckpointId& id);

}  // namespace lockstep
