#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include <sched.h>

#include "common/file_system.h"

namespace lockstep {

// How many threads wait for a store at once: more than the cores there are pays on network file
// systems, many more hurt everybody else's.
inline std::size_t reading_threads() {
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 4, 8);
}

// How many for small files: on a local disk they are in memory, and a second thread on the one core
// that a launcher binds a rank to costs more than it brings.
inline std::size_t small_file_threads(bool network) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const bool known = ::sched_getaffinity(0, sizeof cores, &cores) == 0;
  const auto usable = static_cast<std::size_t>(known ? CPU_COUNT(&cores) : 1);
  return network ? reading_threads() : std::clamp<std::size_t>(usable, 1, reading_threads());
}

// How many blocks of a shard a rank reads or writes at once. A disk or a file server has more to
// give than one waits for; a thread that waits costs no core, and what it has read or will write it
// hashes while the others' transfers go on.
inline std::size_t blocks_in_flight(const FileSystem& files) {
  constexpr std::size_t kBlocks = 4;
  return files.serves_threads() ? kBlocks : 1;
}

// Local: work(i) for every i below `count`, on at most `threads` threads, this one counted; work
// may take the number of its thread, below `threads`, as well. Indices are begun in order. The
// first exception passes, after all have stopped; then not every i was worked on.
template <typename Work>
void for_each_index(std::size_t count, std::size_t threads, Work&& work) {
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto worker = [&](std::size_t thread) {
    try {
      for (std::size_t i = next++; i < count; i = next++)
        if constexpr (std::is_invocable_v<Work&, std::size_t, std::size_t>) {
          work(i, thread);
        } else {
          work(i);
        }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    try {
      for (std::size_t t = 1; t < std::min(count, threads); ++t)
        others.emplace_back(worker, t);
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
      // A limit on threads is no reason to fail: those that there are do it, later.
    }
    worker(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace lockstep
