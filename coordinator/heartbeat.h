#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/file_system.h"

namespace lockstep {

struct HeartbeatHooks {
  std::function<void()> before_beat = {};  // Error: nothing is written, and failure() says why
  std::function<void()> each_period = {};  // on its thread after each beat; must not throw
};

// Rank 0's sign of life: a thread of its own that overwrites attempts/N/heartbeat each period, so
// that a slow store never holds up training. A heartbeat that can't be written is no error: lineage
// fences already. `files` must outlive it.
class HeartbeatWriter {
 public:
  HeartbeatWriter(FileSystem& files, std::string path, double period_seconds,
                  HeartbeatHooks hooks = {});
  ~HeartbeatWriter();  // stops and joins
  HeartbeatWriter(const HeartbeatWriter&) = delete;
  HeartbeatWriter& operator=(const HeartbeatWriter&) = delete;

  // Takes note; the next beat carries it. Never blocks on I/O.
  void set_iteration(std::int64_t iteration);
  void set_committed(std::int64_t iteration);
  // Beats now, on the caller's thread: after the first iteration, and before a commit is
  // acknowledged.
  void beat();
  // Why the last beat could not be written; nullopt: it was.
  std::optional<std::string> failure() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
