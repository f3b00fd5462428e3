#include "worker/shard_reader.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "common/open_shard.h"
#include "common/pages.h"
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

// A shard that is read from: opened by the thread that comes first, closed behind its last block.
class PlannedShard {
 public:
  PlannedShard(const FileSystem& files, const std::string& folder, const Manifest& manifest,
               const ShardReads& reads)
      : files_(files),
        folder_(folder),
        manifest_(manifest),
        index_(reads.shard),
        blocks_(blocks_of(reads.ranges)),
        left_(blocks_.size()) {}

  const std::vector<WantedBlock>& blocks() const { return blocks_; }

  // A block's bytes, in the first ones of `into`, verified.
  std::span<const std::byte> read(std::uint64_t block, std::span<std::byte> into) {
    // Tried again from a new look-up on: a stale handle stays stale.
    const auto bytes = with_retries([&] {
      const auto shard = opened();
      try {
        const auto there = into.first(shard->block_bytes(block));
        shard->read_block(block, there);
        return there;
      } catch (const Error&) {
        close(shard);
        throw;
      }
    });
    if (--left_ == 0) shard_.reset();
    return bytes;
  }

 private:
  std::shared_ptr<const OpenShard> opened() {
    const std::lock_guard lock(mutex_);
    if (!shard_) {
      wait_for_folder(files_, folder_);
      shard_ = std::make_shared<const OpenShard>(
          files_, folder_, manifest_, index_,
          to_text(manifest_.checkpoint) + ": shard " + std::to_string(index_));
    }
    return shard_;
  }
  void close(const std::shared_ptr<const OpenShard>& failed) {
    const std::lock_guard lock(mutex_);
    if (shard_ == failed) shard_.reset();
  }

  const FileSystem& files_;
  const std::string& folder_;
  const Manifest& manifest_;
  const std::int64_t index_;
  const std::vector<WantedBlock> blocks_;
  std::atomic<std::size_t> left_;
  std::mutex mutex_;
  std::shared_ptr<const OpenShard> shard_;
};

struct Task {
  PlannedShard* shard;
  const WantedBlock* block;
  bool shared;  // holds something that is
};

// Calls part(from, to, bytes) for each stretch of a block that is wanted; `from` in the block.
template <typename Part>
void for_each_part(const WantedBlock& wanted, Part part) {
  const auto begin = wanted.index * kChecksumBlockBytes;
  for (const auto& range : wanted.ranges) {
    const auto first = std::max(range.from, begin);
    const auto last = std::min(range.from + range.bytes, begin + kChecksumBlockBytes);
    if (first < last) part(first - begin, range.to + (first - range.from), last - first);
  }
}

bool any_shared(const WantedBlock& wanted, const Places& places) {
  bool any = false;
  for_each_part(wanted, [&](std::uint64_t, std::uint64_t to, std::uint64_t bytes) {
    any = any || places.any_shared(to, bytes);
  });
  return any;
}

std::vector<Task> tasks_of(std::deque<PlannedShard>& shards, const Places& places) {
  // A shard is closed behind its last block: so many may be open at once.
  constexpr std::size_t kMostOpen = 64;
  std::vector<Task> tasks;
  for (auto& shard : shards)
    for (const auto& block : shard.blocks())
      tasks.push_back({&shard, &block, any_shared(block, places)});
  if (shards.size() <= kMostOpen)
    std::ranges::stable_partition(tasks, [](const Task& task) { return task.shared; });
  return tasks;
}

}  // namespace

void read_shards(const FileSystem& files, const std::string& folder, const Manifest& manifest,
                 const ReadPlan& plan, const Places& places, ReadProgress& progress) {
  std::deque<PlannedShard> shards;
  for (const auto& reads : plan.shards)
    shards.emplace_back(files, folder, manifest, reads);
  const auto tasks = tasks_of(shards, places);
  std::atomic<std::size_t> shared_left = static_cast<std::size_t>(
      std::ranges::count_if(tasks, [](const Task& task) { return task.shared; }));
  if (shared_left == 0) progress.shared_done();

  const auto threads = blocks_in_flight(files);
  std::vector<Pages> memory(threads);
  const auto at_work = files.at_work();
  for_each_index(tasks.size(), threads, [&](std::size_t i, std::size_t thread) {
    if (progress.given_up) throw Error(ErrorCode::kIo, "given up");
    if (memory[thread].all().empty()) memory[thread] = Pages(kChecksumBlockBytes);
    const auto& task = tasks[i];
    const auto block = task.shard->read(task.block->index, memory[thread].all());
    for_each_part(*task.block, [&](std::uint64_t from, std::uint64_t to, std::uint64_t bytes) {
      places.put(to, block.subspan(from, bytes));
    });
    ++progress.steps;
    if (task.shared && --shared_left == 0) progress.shared_done();
  });
}

}  // namespace lockstep
