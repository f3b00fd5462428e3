#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/manifest.h"
#include "common/pages.h"
#include "common/read_plan.h"

namespace lockstep {

// What the text of an error ends with where a file is not there.
inline constexpr std::string_view kMissing = "missing";

// A shard of a checkpoint that was opened and checked whole, by its size and header, to be the one
// that the manifest names. Its data is read in blocks, each against its checksum. All: Local; const
// members are for several threads at once, where the FileSystem serves threads.
class OpenShard {
 public:
  // Error(kDamaged): missing after a fresh look-up, or another than the manifest's; kIo. What this
  // and the reads throw begins with `what`.
  OpenShard(const FileSystem& files, const std::string& folder, const Manifest& manifest,
            std::int64_t index, std::string what);

  std::uint64_t blocks() const { return shard_.checksums.size(); }
  std::uint64_t block_bytes(std::uint64_t index) const;  // kChecksumBlockBytes, the last one less
  // Reads a block into `into`, of block_bytes(), and verifies it there: what is there after an
  // error must not be used.
  void read_block(std::uint64_t index, std::span<std::byte> into) const;
  // A block's bytes, verified; valid until the next call.
  std::span<const std::byte> block(std::uint64_t index);
  // Copies a range of the data section to its place in `staging`.
  void copy(const ReadRange& range, std::span<std::byte> staging);

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::string what_;
  std::unique_ptr<ReadableFile> file_;
  SafetensorsHeader header_;
  ShardDescription shard_;
  Pages buffer_;
  std::uint64_t current_ = kNone;
};

// Local: whether a shard has the size and the very header that the manifest names, by digest alone:
// as long as nothing of its data is read that is enough, and much quicker than to parse it. Where
// it has not, OpenShard says why. Error(kIo).
bool has_listed_header(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                       std::int64_t index);

}  // namespace lockstep
