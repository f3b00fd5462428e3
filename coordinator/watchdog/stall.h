#pragma once

#include "common/progress_board.h"

namespace lockstep {

// When a job counts as hung. All pure: clock values are passed in, none is read.

struct StallRule {
  double heartbeat_seconds = 5;
  double stall_seconds = 300;
  double join_seconds = 900;
};

// How long a rank may be unheard. Its watchdog's thread has nothing to do but to be heard, hence no
// more than the user said, whatever an iteration takes.
double silence_limit_s(const StallRule& rule);

// How long all may be without progress in `phase`. An iteration may take long: 20 of the late ones.
// What is built before the first one is complete, and what retention deletes at the end, has
// nothing to be measured by: join_seconds.
double stall_limit_s(const StallRule& rule, Phase phase, double iteration_seconds);

// How often a watchdog looks.
double wake_interval_s(const StallRule& rule);

// Time as a watchdog counts it: at most two wake intervals from one wake to the next, so that a job
// that was suspended, and its watchdogs with it, has not been idle.
class AwakeClock {
 public:
  explicit AwakeClock(double wake_interval_s) : most_s_(2 * wake_interval_s) {}

  // `monotonic_s`: now; gives the counted seconds since the first wake.
  double wake(double monotonic_s);

 private:
  double most_s_;
  double last_s_ = 0;
  double counted_s_ = 0;
  bool woken_ = false;
};

// How long one rank has been without progress.
class ProgressJudge {
 public:
  explicit ProgressJudge(double now_s) : moved_s_(now_s) {}

  void see(const RankStanding& standing, double now_s);
  double still_s(double now_s) const { return now_s - moved_s_; }
  const RankStanding& standing() const { return standing_; }

 private:
  RankStanding standing_;
  double moved_s_;
};

}  // namespace lockstep
