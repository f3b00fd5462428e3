#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <system_error>

#include "common/file_system.h"

namespace lockstep {

// Work with files of a rank's own that a thread does while the one that trains goes on.

// Begins it; where no thread is asked for or can be had it is done in get() or wait().
template <typename Work>
auto start_work(bool on_thread, Work work) {
  if (on_thread) try {
      return std::async(std::launch::async, work);
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
      // A limit on threads fails nothing.
    }
  return std::async(std::launch::deferred, work);
}

template <typename Result>
bool is_under_way(const std::future<Result>& work) {
  return work.valid() && work.wait_for(std::chrono::seconds(0)) == std::future_status::timeout;
}

// How long one waits before one looks again.
constexpr auto kWorkLook = std::chrono::milliseconds(20);

// Waits for what is under way as the watchdog should see it: as this rank's own work, and each step
// that `steps` counts as one.
template <typename Result>
void wait_at_work(const FileSystem& files, const std::atomic<std::uint64_t>& steps,
                  const std::future<Result>& work) {
  while (is_under_way(work)) {
    const auto at_work = files.at_work();
    const auto made = steps.load();
    while (made == steps && work.wait_for(kWorkLook) == std::future_status::timeout) {
    }
  }
}

}  // namespace lockstep
