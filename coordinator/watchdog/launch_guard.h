#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace lockstep {

// Bounds the time from main until all ranks have joined: before that a watchdog has nobody to talk
// to, and MPI_Init waits for ever. A rank that is still waiting then says so and ends with 76; who
// says nothing is missing.
class LaunchGuard {
 public:
  // `who`: this rank, as far as the launcher has told. Starts a thread.
  LaunchGuard(std::string who, double limit_seconds);
  ~LaunchGuard();  // all have joined: stops and joins the thread
  LaunchGuard(const LaunchGuard&) = delete;
  LaunchGuard& operator=(const LaunchGuard&) = delete;

  // Counted from the start, too.
  void set_limit(double seconds);

 private:
  void run();

  const std::string who_;
  double limit_s_;
  bool joined_ = false;
  std::mutex mutex_;  // guards the two above
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace lockstep
