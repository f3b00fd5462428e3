#include "coordinator/watchdog/launch_guard.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <utility>
#include <vector>

#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/parting.h"
#include "coordinator/watchdog/stack_dump.h"
#include "coordinator/watchdog/stall.h"

namespace lockstep {

LaunchGuard::LaunchGuard(Self self, double limit_seconds, std::shared_ptr<LaunchSight> sight)
    : self_(std::move(self)),
      watched_(::pthread_self()),
      sight_(std::move(sight)),
      first_limit_s_(limit_seconds),
      limit_s_(limit_seconds) {
  prepare_stack_dump();
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

void LaunchGuard::wait_for_others() {
  const std::scoped_lock lock(mutex_);
  waits_ = true;
}

void LaunchGuard::run() {
  constexpr double kInterval = 0.25;
  AwakeClock clock(kInterval);
  std::unique_lock lock(mutex_);
  while (!joined_) {
    const double now_s = clock.wake(monotonic_s());
    if (waits_ && !said_here_) say_here(lock, now_s);
    if (!joined_ && now_s >= limit_s_ && !look_around(lock)) break;
    if (!joined_) changed_.wait_for(lock, std::chrono::duration<double>(kInterval));
  }
  if (joined_) return;
  end_launch();
}

// Not in a launch that all join soon, as nearly every one; but before any other rank looks.
void LaunchGuard::say_here(std::unique_lock<std::mutex>& lock, double now_s) {
  constexpr double kSlow = 5;
  constexpr double kSecondsOfLauncher = 3;
  const double limit_s = limit_s_;
  if (!sight_ || now_s < std::min({kSlow, first_limit_s_ / 2, limit_s / 2})) return;
  lock.unlock();
  // Shared: where it is given up it may still come to its end.
  const auto said = std::make_shared<std::atomic<bool>>(false);
  const bool answered = finish_within(
      kSecondsOfLauncher, [sight = sight_, said, limit_s] { *said = sight->say_here(limit_s); },
      [] {});
  said_here_ = *said || !answered;  // a launcher that hangs is not asked again
  lock.lock();
}

bool LaunchGuard::look_around(std::unique_lock<std::mutex>& lock) {
  constexpr double kLater = 5;  // rank 0 sees more: let it speak first
  if (!waits_ || !sight_) return false;
  lock.unlock();
  seen_ = sight_->look();
  lock.lock();
  if (self_.rank == 0 || saw_root_ || !seen_ || !seen_->root_here) return false;
  saw_root_ = true;
  limit_s_ = std::max(limit_s_, seen_->root_limit_s) + kLater;
  return true;
}

void LaunchGuard::end_launch() const {
  const Voice voice;
  const auto who = "rank " + std::to_string(self_.rank) + " (" + self_.host + ")";
  std::array<char, 32> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%g s", limit_s_);
  if (!waits_) {
    voice.error({who + ": phase launch, not ready to join the others after " + seconds.data()});
    print_stack(voice, who, watched_);
    leave_hung_job();
  }
  auto line = who + ": phase launch, not all ranks joined within " + seconds.data();
  if (seen_ && seen_->missing.empty()) line += "; all that it can see have started";
  std::vector<Culprit> missing;
  if (seen_)
    for (const auto& rank : seen_->missing)
      missing.push_back({rank.rank, rank.host, Phase::kLaunch, true, limit_s_});
  auto lines = lines_of(missing);
  lines.insert(lines.begin(), std::move(line));
  voice.error(lines);
  leave_hung_job();
}

}  // namespace lockstep
