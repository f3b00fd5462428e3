#pragma once

#include <cstdint>
#include <memory>
#include <semaphore>
#include <thread>

#include "tests/model/job.h"

namespace lockstep::model {

// A job in a thread of its own that is stopped right before one of its operations, as by SIGSTOP,
// and runs on when it is told to: real code, really paused. The thread and its owner never run at
// the same time.
class Sleeper {
 public:
  Sleeper(World& world, const Plan& plan, const Steps& steps);
  ~Sleeper();
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // Runs on for `operations` operations, or to its end.
  void wake(std::int64_t operations);
  void kill();
  bool ended() const { return ended_; }
  // Its heartbeat goes on all the same: a job that is alive, seen by another.
  void beat();
  const Job& job() const { return job_; }

 private:
  void before_operation(const Moment& moment);

  Job job_;
  std::optional<std::int64_t> left_;  // operations until it stops; at first: until its moment
  bool killed_ = false;
  bool ended_ = false;
  std::binary_semaphore go_{0};
  std::binary_semaphore stopped_{0};
  std::thread thread_;
};

}  // namespace lockstep::model
