#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/file_system.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Opening one checkpoint. All: Local, reading only; what can't be read now is tried again, a few
// times, then Error(kIo); damage is no error but a fact.

// kManifest: for sizes and ages alone; such a checkpoint may well be damaged.
enum class Depth : std::uint8_t { kManifest, kHeaders, kBytes };

// How far a long read is, for people who wait. What is not given is not called; called from any
// thread that reads.
struct ReadProgress {
  std::function<void(std::uint64_t)> on_total = {};     // data that will be verified, bytes more
  std::function<void(std::uint64_t)> on_verified = {};  // bytes more
  std::function<void(std::size_t)> on_count = {};  // files that will be opened next, from 0 again
  std::function<void()> on_opened = {};            // one of them
  std::function<void(std::size_t)> on_attempts = {};  // whose records a scan will read next
  std::function<void()> on_attempt = {};              // one of them is read
};

// Pure: where a checkpoint's files lie just now: in its place, or in a deleter's trash.
std::string folder_of(const std::string& store, const CheckpointView& checkpoint);

// The manifest alone: its digest, and the bytes that it says the files have.
Examined examine_manifest(const FileSystem& files, const std::string& folder,
                          const CheckpointId& checkpoint);

// One shard against its manifest: size and header; with kBytes every byte of data against its
// checksum. `progress`, where given, is told the bytes verified, block by block. Error(kDamaged).
void examine_shard(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                   std::int64_t index, Depth depth,
                   const std::function<void(std::uint64_t)>& progress = {});

// Pure: notes damage that was found behind the manifest.
void note_damage(Examined& found, const std::string& why);

// Manifest and all shards. `progress` is told of bytes alone.
Examined examine(const FileSystem& files, const std::string& store,
                 const CheckpointView& checkpoint, Depth depth, const ReadProgress& progress = {});

// The same for a checkpoint that lies in any folder.
Examined examine_folder(const FileSystem& files, const std::string& folder, const CheckpointId& id,
                        Depth depth, const ReadProgress& progress = {});

}  // namespace lockstep
