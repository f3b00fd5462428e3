#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/manifest.h"
#include "common/read_plan.h"

namespace lockstep {

// A shard of a checkpoint that was opened and checked whole, by its size and header, to be the one
// that the manifest names. Its data is read in blocks, each against its checksum. All: Local; not
// for several threads at once.
class OpenShard {
 public:
  // Error(kDamaged): missing after a fresh look-up, or another than the manifest's; kIo. What this
  // and the reads throw begins with `what`.
  OpenShard(const FileSystem& files, const std::string& folder, const Manifest& manifest,
            std::int64_t index, std::string what);

  std::uint64_t blocks() const { return shard_.checksums.size(); }
  // A block's bytes, verified; valid until the next call.
  std::span<const std::byte> block(std::uint64_t index);
  // Copies a range of the data section to its place in `staging`.
  void copy(const ReadRange& range, std::span<std::byte> staging);

 private:
  std::span<const std::byte> verified_block(std::uint64_t index);

  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::string what_;
  std::unique_ptr<ReadableFile> file_;
  SafetensorsHeader header_;
  ShardDescription shard_;
  std::vector<std::byte> buffer_;
  std::uint64_t current_ = kNone;
};

// Local: whether a shard has the size and the very header that the manifest names, by digest alone:
// as long as nothing of its data is read that is enough, and much quicker than to parse it. Where
// it has not, OpenShard says why. Error(kIo).
bool has_listed_header(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                       std::int64_t index);

}  // namespace lockstep
