#include "worker/snapshot.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/fail_point.h"

namespace lockstep {

Snapshot::Snapshot(ShardData data, std::span<std::byte> memory, std::size_t threads)
    : data_(std::move(data)), memory_(memory), seen_(data_.blocks()), missing_(data_.blocks()) {
  try {
    for (std::size_t i = 0; i < std::min(threads, data_.blocks()); ++i)
      threads_.emplace_back([this] { copy_blocks(); });
  } catch (const std::system_error&) {
    if (threads_.empty()) copy_blocks();
  }
}

Snapshot::~Snapshot() {
  next_ = data_.blocks();
}

void Snapshot::copy_blocks() {
  for (auto i = next_++; i < data_.blocks(); i = next_++) {
    try {
      seen_[i] = data_.copy(i, memory_.subspan(data_.begin_of(i), data_.bytes_of(i)));
    } catch (...) {  // of an accelerator; told by block()
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
    if (--missing_ == 0) missing_.notify_all();
    LOCKSTEP_FAIL_POINT("block copied");
  }
}

void Snapshot::await() {
  for (auto missing = missing_.load(); missing != 0; missing = missing_.load())
    missing_.wait(missing);
  LOCKSTEP_FAIL_POINT("snapshot whole");
}

Snapshot::Block Snapshot::block(std::size_t index) const {
  if (failure_) std::rethrow_exception(failure_);
  return {memory_.subspan(data_.begin_of(index), data_.bytes_of(index)), seen_[index]};
}

}  // namespace lockstep
