#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/cli/top_picture.h"
#include "coordinator/liveness.h"
#include "coordinator/run_length.h"
#include "coordinator/status/curve_follower.h"

namespace lockstep::cli {

// Looks at a store again and again, for `lockstep top`, from its files alone and reading only. What
// can't have changed is not read again: records of attempts that have ended, manifests.
//
// Each look reads what metrics.jsonl has got since. Once a heartbeat period, which is taken for one
// to five seconds, the store is scanned; whether the job is alive is judged as launches judge it,
// but beside the picture instead of before it.
class TopWatch {
 public:
  // `alive`: whether the newest attempt's job is at work, where that is known already.
  // Error(kInvalidConfig) where `given` is no store.
  TopWatch(const FileSystem& files, std::string given, std::optional<bool> alive = {},
           Clock clock = steady_clock());

  // Error as open_store. Cost: as above; `patient`: all sizes of abandoned checkpoints, however
  // many there are, else a part of those that are not known yet.
  TopFacts look(bool patient = false);
  // Of the last look.
  bool alive() const { return alive_; }

 private:
  struct Known {  // of a committed checkpoint: it never changes
    std::uint64_t bytes = 0;
    std::optional<std::int64_t> created_s;
    std::optional<DataPlace> data;
  };

  void scan(double now_s);
  void judge(double now_s);
  void note_events();
  const Known* know(const CheckpointId& id);
  void weigh_abandoned(TopFacts& facts, bool patient);
  const AttemptView* newest() const;
  void add_attempt(TopFacts& facts) const;
  void add_metrics(TopFacts& facts) const;

  const FileSystem& files_;
  const std::string given_;
  const Clock clock_;
  OpenStore store_;
  double scan_due_s_ = 0;
  std::int64_t attempt_ = 0;  // the newest, 0: none
  std::optional<bool> told_alive_;
  bool alive_ = false;
  Life life_ = Life::kUnsure;
  std::vector<std::optional<Heartbeat>> beats_;  // of the newest attempt, a period apart
  double beat_due_s_ = 0;
  CurveReader metrics_{""};
  std::pair<std::int64_t, std::optional<std::int64_t>> place_;  // attempt, iteration
  double moved_s_ = 0;                                          // when it was there first
  std::optional<double> silent_s_;                              // still_seconds, of the last scan
  std::map<CheckpointId, Known> known_;
  std::map<std::int64_t, std::int64_t> ended_s_;  // attempts that have an outcome
  std::vector<CheckpointId> abandoned_;
  std::vector<TopEvent> events_;  // newest first
};

}  // namespace lockstep::cli
