#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/prune.h"
#include "tests/model/gate.h"
#include "tests/model/job.h"
#include "tests/model/world.h"

namespace lockstep::model {

// An operation of a prune: the nth while it looks, or from its first deletion on.
struct PruneMoment {
  bool deleting = false;
  std::int64_t operation = 1;

  friend bool operator==(const PruneMoment&, const PruneMoment&) = default;
};

// What one `lockstep prune` does, and what befalls it.
struct PrunePlan {
  Prune prune;
  std::optional<PruneMoment> crash_at;
  std::optional<PruneMoment> fails_at;  // so many operations fail
  std::int64_t failures = 1;
  std::optional<PruneMoment> job_at;   // a job is launched meanwhile
  std::optional<PruneMoment> wake_at;  // a sleeper runs for a while
};

// `lockstep prune` on the store, as the command runs it, compared with the reference.
class Pruner {
 public:
  // `launch`: runs a job to its end, in the midst of it.
  Pruner(World& world, PrunePlan plan, const Steps& steps, std::function<void()> launch);
  void run();
  bool crashed() const { return crashed_; }

 private:
  void before(const Operation& operation);
  void begin_job();
  void give_up_renamed();
  void meanwhile();
  Clock clock();
  void prune();
  void compare(const std::vector<Deletion>& chosen, const Pruned& expected);
  std::optional<ErrorCode> beside_a_live_one() const;
  Pruned expected_now() const;

  World& world_;
  const PrunePlan plan_;
  const Steps& steps_;
  std::function<void()> launch_;
  GatedFileSystem files_;
  PruneMoment now_{false, 0};
  std::int64_t in_trouble_ = 0;  // operations that are still to fail
  bool failed_ = false;
  std::uint64_t undisturbed_;  // World::wakes at its begin
  bool crashed_ = false;
  std::set<CheckpointId> chosen_;
  std::string renaming_;  // the place of the checkpoint that is being deleted
};

}  // namespace lockstep::model
