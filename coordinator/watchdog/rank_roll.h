#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/watchdog/stall.h"

namespace lockstep {

// A rank that is to blame for a job that hangs.
struct Culprit {
  int rank = 0;
  std::string host;  // "": not known
  Phase phase = Phase::kLaunch;
  bool silent = false;  // else it is heard, and makes no progress
  double seconds = 0;   // for how long

  friend bool operator==(const Culprit&, const Culprit&) = default;
};

// What is known of a rank, for people to see.
struct RankSight {
  int rank = 0;
  std::string host;
  Phase phase = Phase::kLaunch;
  double work_s = 0;    // its own work in an iteration, the median of late ones; 0: not known
  double silent_s = 0;  // since it was heard
  bool heard = false;   // ever
};

// "rank 2 (host): phase save, silent for 31 s"
std::string to_text(const Culprit& culprit);

// Who was heard when, and who has moved when, by the clock of the one that keeps it: rank 0 for all
// ranks, a rank that rank 0 can't hear for itself. Pure: clock values are passed in.
class RankRoll {
 public:
  // A rank, and its host.
  struct Entry {
    int rank = 0;
    std::string host;
  };
  RankRoll(std::vector<Entry> ranks, double now_s);

  // `index`: in the list given, as in all below.
  void hear(std::size_t index, const RankStanding& standing, double now_s);
  void leave(std::size_t index);  // it has come to its end, and is not missed
  bool left(std::size_t index) const { return seen_[index].left; }
  bool all_left() const;  // but for those that were never heard
  bool heard(std::size_t index) const { return seen_[index].heard_s.has_value(); }

  // Of every rank, but for its work.
  std::vector<RankSight> sights(double now_s) const;

  // Those to blame; empty while all is well.
  //   1. Whoever is silent: others may be idle only because of it.
  //   2. Where nobody has moved for the limit: who is inside work of its own, since the others
  //   wait;
  //      else who is behind the others; else all. As long as anybody moves the rest may be waiting.
  // One that was never heard is not judged: its packets may not get through.
  std::vector<Culprit> judge(const StallRule& rule, double iteration_seconds, double now_s) const;
  // The first of these alone.
  std::vector<Culprit> silent(double limit_s, double now_s) const;

 private:
  struct Seen {
    Entry who;
    ProgressJudge progress;
    std::optional<double> heard_s;
    bool left = false;
  };
  std::vector<Culprit> stalled(const StallRule& rule, double iteration_seconds, double now_s) const;

  std::vector<Seen> seen_;
};

}  // namespace lockstep
