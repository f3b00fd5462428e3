#include "worker/shard_reader.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <thread>
#include <vector>

#include "common/open_shard.h"
#include "common/parallel.h"
#include "common/retries.h"

namespace lockstep {

namespace {

// An attempt that was taken for dead and wakes up may put the checkpoint into trash, and back at
// once when it sees that it is superseded: the folder is given three looks before it is missing.
void wait_for_folder(const FileSystem& files, const std::string& folder) {
  constexpr int kLooks = 3;
  constexpr auto kPause = std::chrono::milliseconds(100);
  for (int i = 1; i < kLooks && !files.info(folder); ++i)
    std::this_thread::sleep_for(kPause);
}

// A block that holds something that is wanted.
struct WantedBlock {
  std::uint64_t index = 0;
  std::span<const ReadRange> ranges;  // those that begin in it or before, and reach into it
};

std::vector<WantedBlock> blocks_of(const std::vector<ReadRange>& ranges) {
  std::vector<WantedBlock> wanted;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto last = (ranges[i].from + ranges[i].bytes - 1) / kChecksumBlockBytes;
    for (auto index = ranges[i].from / kChecksumBlockBytes; index <= last; ++index) {
      if (wanted.empty() || wanted.back().index != index)
        wanted.push_back({index, {&ranges[i], 0}});
      auto& here = wanted.back().ranges;
      here = {here.data(), here.size() + 1};
    }
  }
  return wanted;
}

// Reads the blocks of a shard, several in flight.
class BlockReader {
 public:
  BlockReader(const OpenShard& shard, std::span<std::byte> staging, std::size_t threads)
      : shard_(shard), staging_(staging), aside_(threads) {}

  // A block that goes to one place that takes direct reads is read and verified there, any other
  // one beside it: its bytes are copied only when all are known to be right.
  void read(const WantedBlock& wanted, std::size_t thread) {
    const auto begin = wanted.index * kChecksumBlockBytes;
    const auto bytes = shard_.block_bytes(wanted.index);
    if (const auto there = place_of_all(wanted, begin, bytes); !there.empty()) {
      shard_.read_block(wanted.index, there);
      return;
    }
    auto& aside = aside_[thread];
    if (aside.all().empty()) aside = Pages(kChecksumBlockBytes);
    const auto block = aside.all().first(bytes);
    shard_.read_block(wanted.index, block);
    for (const auto& range : wanted.ranges) {
      const auto first = std::max(range.from, begin);
      const auto last = std::min(range.from + range.bytes, begin + bytes);
      if (first < last)
        std::memcpy(&staging_[range.to + (first - range.from)], &block[first - begin],
                    last - first);
    }
  }

 private:
  std::span<std::byte> place_of_all(const WantedBlock& wanted, std::uint64_t begin,
                                    std::uint64_t bytes) const {
    const auto& range = wanted.ranges.front();
    if (range.from > begin || range.from + range.bytes < begin + bytes) return {};
    const auto place = staging_.subspan(range.to + (begin - range.from), bytes);
    const bool aligned = reinterpret_cast<std::uintptr_t>(place.data()) % kDirectAlignment == 0;
    return aligned ? place : std::span<std::byte>{};
  }

  const OpenShard& shard_;
  std::span<std::byte> staging_;
  std::vector<Pages> aside_;  // a block for each thread
};

}  // namespace

void read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                 const ReadPlan& plan, std::span<std::byte> staging) {
  const auto threads = blocks_in_flight(files);
  for (const auto& reads : plan.shards) {
    const auto what = to_text(manifest.checkpoint) + ": shard " + std::to_string(reads.shard);
    const auto blocks = blocks_of(reads.ranges);
    // Tried again from a new look-up on: a stale handle stays stale.
    with_retries([&] {
      wait_for_folder(files, folder);
      const auto at_work = files.at_work();
      const OpenShard shard(files, folder, manifest, reads.shard, what);
      BlockReader reader(shard, staging, threads);
      for_each_index(blocks.size(), threads,
                     [&](std::size_t i, std::size_t thread) { reader.read(blocks[i], thread); });
    });
  }
}

}  // namespace lockstep
