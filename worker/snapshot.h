#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <thread>
#include <vector>

#include "worker/shard_data.h"

namespace lockstep {

// A rank's own bytes of a state as they are at one moment, copied by threads of its own: forward
// and backward may run meanwhile, since they change nothing of what is copied, but no optimizer
// step (CheckFreq, FAST '21; DataStates-LLM, HPDC '24). All: Local.
class Snapshot {
 public:
  // Begins. `memory` holds data.bytes() and must outlive this. Where no thread can be had the copy
  // is whole on return.
  Snapshot(ShardData data, std::span<std::byte> memory, std::size_t threads);
  ~Snapshot();  // a copy under way is given up
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  const ShardData& data() const { return data_; }
  // Waits until all is copied, or could not be: then the state may change. Any thread.
  void await();

  struct Block {
    std::span<const std::byte> bytes;
    ShardData::Seen seen;
  };
  // Of the copy; after await(). Any thread. Throws what an accelerator threw as it was copied.
  Block block(std::size_t index) const;

 private:
  void copy_blocks();

  const ShardData data_;
  const std::span<std::byte> memory_;
  std::atomic<std::size_t> next_ = 0;
  std::vector<ShardData::Seen> seen_;  // each written by one thread
  std::atomic<bool> failed_ = false;
  std::exception_ptr failure_;  // of the first that failed; read behind await()
  std::atomic<std::size_t> missing_;
  std::vector<std::jthread> threads_;
};

}  // namespace lockstep
