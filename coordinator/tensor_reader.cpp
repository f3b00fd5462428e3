#include "coordinator/tensor_reader.h"

#include <algorithm>
#include <utility>

#include "common/retries.h"

namespace lockstep {

TensorReader::TensorReader(const FileSystem& files, std::string folder, const Manifest& manifest)
    : files_(files), folder_(std::move(folder)), manifest_(manifest), planner_(manifest) {}

OpenShard& TensorReader::shard(std::int64_t index) {
  const auto found = std::ranges::find(opened_, index, &Opened::index);
  if (found != opened_.end()) {
    opened_.splice(opened_.begin(), opened_, found);
  } else {
    if (opened_.size() == kOpenShards) opened_.pop_back();
    const auto what = to_text(manifest_.checkpoint) + ": shard " + std::to_string(index);
    opened_.push_front({index, OpenShard(files_, folder_, manifest_, index, what)});
  }
  return opened_.front().shard;
}

void TensorReader::read_ranges(const ShardReads& reads, std::span<std::byte> into) {
  with_retries([&] {
    try {
      auto& from = shard(reads.shard);
      for (const auto& range : reads.ranges)
        from.copy(range, into);
    } catch (const Error&) {
      // A stale handle stays stale: the next try begins with a new look-up.
      std::erase_if(opened_, [&](const Opened& one) { return one.index == reads.shard; });
      throw;
    }
  });
}

void TensorReader::read(const Piece& piece, std::span<std::byte> into) {
  for (const auto& reads : planner_.plan({&piece, 1}).shards)
    read_ranges(reads, into);
}

}  // namespace lockstep
