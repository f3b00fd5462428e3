#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace lockstep {

// A value that one thread makes and others read, each time a whole one. Not std::atomic of a
// shared_ptr: libstdc++ 12's load gives its lock back without release, a race by the standard and
// to the thread sanitizer; and a reader that is put to sleep within it makes the writer spin.
template <typename Value>
class Published {
 public:
  // Never waits. false: a reader is taking the last one just now, and this one is not published.
  bool offer(std::shared_ptr<const Value> value) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock) value_.swap(value);  // what was there ends behind the lock
    return lock.owns_lock();
  }
  // May wait for a reader, who only takes a pointer.
  void put(std::shared_ptr<const Value> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);
  }
  std::shared_ptr<const Value> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Value> value_;
};

}  // namespace lockstep
