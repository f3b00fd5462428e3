#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/config_loader.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Which run a launch belongs to: DESIGN's "Run id".
struct RunIdentity {
  std::string id;
  bool stable = false;             // a requeue has the same id
  bool from_slurm = false;         // the id is Slurm's job id, so restart counts tell runs apart
  std::optional<std::string> job;  // Slurm's job id, arrays JOB_TASK; recorded by every launch
  std::int64_t restart_count = 0;  // SLURM_RESTART_COUNT; 0 where unset
};

// Pure but for `environment`. `generated`: the id to take where nothing names one.
// Error(kInvalidConfig) where SLURM_RESTART_COUNT is no number.
RunIdentity identify_run(const std::optional<std::string>& configured,
                         const Environment& environment, const std::string& generated);

// Pure: of the claim, or where that is damaged of the decision.
std::optional<std::string> run_of(const AttemptView& attempt);

// Pure: the attempts of the run, ascending: not refused, with its id, and where the id is Slurm's
// only those of the job's present series of rising restart counts.
std::vector<const AttemptView*> attempts_of(const StoreView& store, const RunIdentity& run);

}  // namespace lockstep
