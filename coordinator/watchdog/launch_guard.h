#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <pthread.h>

#include "coordinator/watchdog/launch_sight.h"

namespace lockstep {

// Bounds the time from main until all ranks have joined: before that a watchdog has nobody to talk
// to, and MPI_Init waits for ever. A rank whose time is over ends with 76, and says who is missing:
// itself, or those that the launcher's PMIx knows nothing of.
//
// Only rank 0 knows watchdog.join_seconds. The others go by a limit of their own until rank 0 is
// seen; then by its, a little later than rank 0 itself, which sees all.
class LaunchGuard {
 public:
  struct Self {
    int rank = 0;  // as far as the launcher has told
    std::string host;
  };
  // On the thread that is to join. `sight` may be null. Starts a thread.
  LaunchGuard(Self self, double limit_seconds, std::shared_ptr<LaunchSight> sight);
  ~LaunchGuard();  // all have joined: stops and joins the thread
  LaunchGuard(const LaunchGuard&) = delete;
  LaunchGuard& operator=(const LaunchGuard&) = delete;

  // Counted from the start, too.
  void set_limit(double seconds);
  // From now on this rank waits for the others.
  void wait_for_others();

 private:
  void run();
  void say_here(std::unique_lock<std::mutex>& lock, double now_s);
  // Whether there is a reason to wait on.
  bool look_around(std::unique_lock<std::mutex>& lock);
  [[noreturn]] void end_launch() const;

  const Self self_;
  const pthread_t watched_;
  const std::shared_ptr<LaunchSight> sight_;
  bool said_here_ = false;  // the thread's, as the next two
  bool saw_root_ = false;
  std::optional<LaunchSeen> seen_;
  const double first_limit_s_;
  double limit_s_;
  bool waits_ = false;
  bool joined_ = false;
  std::mutex mutex_;  // guards the three above
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace lockstep
