#include "worker/batch_feed.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/failure.h"
#include "worker/precision.h"

namespace lockstep {

BatchFeed::BatchFeed(const Config& config, Task& task, Share rank, std::int64_t position,
                     std::int64_t end)
    : task_(task),
      global_batch_(config.data.global_batch),
      order_{.seed = static_cast<std::uint64_t>(config.run.seed),
             .length = task.training_samples()},
      slice_(batch_slice(global_batch_, rank)),
      at_once_(static_cast<std::size_t>(config.data.micro_batch.value_or(slice_.count))),
      end_(end),
      position_(position) {}

BatchFeed::Next BatchFeed::next() {
  if (!task_.fetches()) return planned();
  if (!ahead_.valid()) ahead_ = std::async(std::launch::deferred, fetching());
  Next now = ahead_.get();
  if (done_ == samples_.size() && position_ >= end_) return now;
  const auto work = fetching();
  try {
    ahead_ = std::async(std::launch::async, work);
  } catch (const std::system_error&) {  // a limit on threads: made when it is asked for
    ahead_ = std::async(std::launch::deferred, work);
  }
  return now;
}

std::function<BatchFeed::Next()> BatchFeed::fetching() {
  return [&task = task_, next = std::make_shared<Next>(planned())] {
    // A thread of its own has no autocast, and all batches are made alike.
    const Autocast fp32(false);
    next->inputs = within("the task's fetch()", [&] { return task.fetch(next->samples); });
    return std::move(*next);
  };
}

BatchFeed::Next BatchFeed::planned() {
  if (done_ == samples_.size()) {
    samples_ = samples_of_slice(order_, position_, slice_);
    position_ += global_batch_;
    done_ = 0;
  }
  const auto count = std::min(at_once_, samples_.size() - done_);
  const auto begin = samples_.begin() + static_cast<std::ptrdiff_t>(done_);
  Next next{.samples = {begin, begin + static_cast<std::ptrdiff_t>(count)},
            .inputs = nullptr,
            .first = done_ == 0,
            .last = done_ + count == samples_.size()};
  done_ += count;
  return next;
}

}  // namespace lockstep
