#include "coordinator/watchdog/stall.h"

#include <algorithm>

namespace lockstep {

double silence_limit_s(const StallRule& rule) {
  // One that is lost on the way is no silence.
  constexpr double kHeartbeats = 3;
  return std::max(rule.stall_seconds, kHeartbeats * rule.heartbeat_seconds);
}

double stall_limit_s(const StallRule& rule, Phase phase, double iteration_seconds) {
  constexpr double kIterations = 20;
  const bool first = phase == Phase::kTrain && iteration_seconds <= 0;
  if (first || phase == Phase::kPrepare || phase == Phase::kEnd)
    return std::max(rule.stall_seconds, rule.join_seconds);
  return std::max(rule.stall_seconds, kIterations * iteration_seconds);
}

double wake_interval_s(const StallRule& rule) {
  constexpr double kLongest = 1;
  constexpr double kLooksInALimit = 8;
  return std::min({rule.heartbeat_seconds, rule.stall_seconds / kLooksInALimit, kLongest});
}

double AwakeClock::wake(double monotonic_s) {
  if (woken_) counted_s_ += std::clamp(monotonic_s - last_s_, 0.0, most_s_);
  last_s_ = monotonic_s;
  woken_ = true;
  return counted_s_;
}

void ProgressJudge::see(const RankStanding& standing, double now_s) {
  if (standing == standing_) return;
  standing_ = standing;
  moved_s_ = now_s;
}

}  // namespace lockstep
