#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <vector>

#include "common/config.h"
#include "common/partition.h"
#include "worker/data_order.h"
#include "worker/task.h"

namespace lockstep {

// What a rank trains on, batch by batch: its slice of each global batch from a position of the data
// order on, in pieces of data.micro_batch. Where the task fetches, a thread makes the inputs of the
// next one meanwhile, of an iteration's first one too: two are in memory at most.
class BatchFeed {
 public:
  // `task` must outlive it. Not for two threads at once. Nothing is fetched ahead from `end` on, a
  // position too: nobody would ask for it, and the end would wait for it.
  BatchFeed(const Config& config, Task& task, Share rank, std::int64_t position,
            std::int64_t end = std::numeric_limits<std::int64_t>::max());

  struct Next {
    std::vector<std::int64_t> samples;  // at least one
    std::unique_ptr<Inputs> inputs;     // null where the task does not fetch
    bool first = false;                 // of its iteration
    bool last = false;
  };
  // Waits for what is being fetched. Throws what Task::fetch threw; then there is no next one.
  Next next();

 private:
  Next planned();
  std::function<Next()> fetching();  // of the next one, whose turn it is

  Task& task_;
  const std::int64_t global_batch_;
  const DataOrder order_;
  const Range slice_;
  const std::size_t at_once_;
  const std::int64_t end_;
  std::int64_t position_;              // of the next iteration
  std::vector<std::int64_t> samples_;  // of this one
  std::size_t done_ = 0;               // of them
  std::future<Next> ahead_;
};

}  // namespace lockstep
