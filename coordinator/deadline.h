#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/config.h"
#include "common/decision.h"
#include "coordinator/config_loader.h"

namespace lockstep {

// When the batch system ends the job, signal or not. All: Pure.

struct Deadline {
  std::int64_t at = 0;  // seconds since the epoch
  std::string from;     // the variable that says so
};

// LOCKSTEP_DEADLINE, else SLURM_JOB_END_TIME, else none; none where preempt.deadline is none.
// Error(kInvalidConfig) for what is no number: a job that takes it for none would be killed
// unsaved.
std::optional<Deadline> find_deadline(const PreemptConfig& preempt, const Environment& environment);

// Whether a launch that has decided so needs time: not for an error, which a later deadline does
// not mend, and not where nothing is left to train.
bool needs_time(DecisionKind kind);

// What stands against a launch now, with so long left: it would claim or train nothing, and end
// with 75 at once. nullopt: nothing does. `save_s`: what a save is known to take.
std::optional<std::string> objection_to_launch(const Deadline& deadline, double left_s,
                                               const PreemptConfig& preempt,
                                               std::optional<double> save_s);

}  // namespace lockstep
