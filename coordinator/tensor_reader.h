#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <span>
#include <string>

#include "common/file_system.h"
#include "common/open_shard.h"
#include "common/read_plan.h"

namespace lockstep {

// Reads a checkpoint's tensors as whole ones, whatever the number of shards that hold them, every
// byte verified. For commands that walk through a state once: a few shards are kept open, so pieces
// in the manifest's order read each block once or twice. Not for several threads.
//
// Local. Cost: memory one block (4 MiB) for each shard that is open, at most kOpenShards.
class TensorReader {
 public:
  static constexpr std::size_t kOpenShards = 4;

  // `manifest` must outlive it.
  TensorReader(const FileSystem& files, std::string folder, const Manifest& manifest);

  // Fills `into` with the piece's elements. Error(kDamaged); kIo after three tries. Texts name
  // checkpoint, shard and cause.
  void read(const Piece& piece, std::span<std::byte> into);

 private:
  struct Opened {
    std::int64_t index;
    OpenShard shard;
  };
  OpenShard& shard(std::int64_t index);
  void read_ranges(const ShardReads& reads, std::span<std::byte> into);

  const FileSystem& files_;
  std::string folder_;
  const Manifest& manifest_;
  ReadPlanner planner_;
  std::list<Opened> opened_;  // the most recently used one first
};

// Calls visit(piece) for a whole tensor, a piece of at most `limit_bytes` after the other.
template <typename Visit>
void for_each_piece(const TensorInfo& tensor, std::uint64_t limit_bytes, Visit&& visit) {
  const auto all = elements(tensor);
  const auto most = static_cast<std::int64_t>(limit_bytes / bytes_of(tensor.dtype));
  for (std::int64_t at = 0; at < all; at += most)
    visit(Piece{tensor.name, tensor.dtype, at, std::min(most, all - at)});
}

}  // namespace lockstep
