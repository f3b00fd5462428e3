#include "coordinator/watchdog/launch_guard.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

#include <unistd.h>

#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/stall.h"

namespace lockstep {

LaunchGuard::LaunchGuard(std::string who, double limit_seconds)
    : who_(std::move(who)), limit_s_(limit_seconds) {
  thread_ = start_without_signals([this] { run(); });
}

LaunchGuard::~LaunchGuard() {
  {
    const std::scoped_lock lock(mutex_);
    joined_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LaunchGuard::set_limit(double seconds) {
  {
    const std::scoped_lock lock(mutex_);
    limit_s_ = seconds;
  }
  changed_.notify_all();
}

void LaunchGuard::run() {
  constexpr double kInterval = 0.25;
  AwakeClock clock(kInterval);
  std::unique_lock lock(mutex_);
  while (!joined_ && clock.wake(monotonic_s()) < limit_s_)
    changed_.wait_for(lock, std::chrono::duration<double>(kInterval));
  if (joined_) return;
  std::array<char, 80> text{};
  std::snprintf(text.data(), text.size(), ": phase launch, not all ranks joined within %g s\n",
                limit_s_);
  write_to_stderr(who_ + text.data());
  ::_exit(kHungExitCode);
}

}  // namespace lockstep
