#include "coordinator/run_identity.h"

#include <algorithm>

#include "common/error.h"
#include "common/log.h"
#include "common/names.h"
#include "coordinator/config_text.h"
#include "coordinator/lineage.h"

namespace lockstep {

namespace {

// What becomes a run's id, by the rules of run.id: it goes into records and lines of the log.
std::optional<std::string> non_empty(const Environment& environment, const std::string& name) {
  constexpr std::size_t kMostBytes = 4096;
  auto value = environment(name);
  if (!value || value->empty()) return std::nullopt;
  if (value->size() > kMostBytes || escape_controls(*value) != *value ||
      invalid_utf8(*value) != std::string::npos)
    throw Error(ErrorCode::kInvalidConfig, name + " is no plain text of at most " +
                                               std::to_string(kMostBytes) +
                                               " bytes: it names the run; export another one");
  return value;
}

}  // namespace

RunIdentity identify_run(const std::optional<std::string>& configured,
                         const Environment& environment, const std::string& generated) {
  RunIdentity run;
  const auto array = non_empty(environment, "SLURM_ARRAY_JOB_ID");
  const auto task = non_empty(environment, "SLURM_ARRAY_TASK_ID");
  run.job = array && task ? *array + "_" + *task : non_empty(environment, "SLURM_JOB_ID");
  if (const auto count = non_empty(environment, "SLURM_RESTART_COUNT")) {
    const auto number = parse_number(*count);
    if (!number)
      throw Error(ErrorCode::kInvalidConfig,
                  "SLURM_RESTART_COUNT is \"" + *count + "\", which is no number; unset it");
    run.restart_count = *number;
  }
  if (configured) {
    run.id = *configured;
  } else if (const auto given = non_empty(environment, "LOCKSTEP_RUN_ID")) {
    run.id = *given;
  } else if (run.job) {
    run.id = "slurm-" + *run.job;
    run.from_slurm = true;
  } else {
    run.id = generated;
    return run;
  }
  run.stable = true;
  return run;
}

std::optional<std::string> run_of(const AttemptView& attempt) {
  if (attempt.claim) return attempt.claim->run;
  if (attempt.decision) return attempt.decision->run;
  return std::nullopt;
}

std::vector<const AttemptView*> attempts_of(const StoreView& store, const RunIdentity& run) {
  std::vector<const AttemptView*> found;
  auto next_count = run.restart_count;
  for (auto it = store.attempts.rbegin(); it != store.attempts.rend(); ++it) {
    if (is_refused(*it) || run_of(*it) != run.id) continue;
    // A launch that does not continue the job's restarts was a command typed anew: older ones are
    // of another run. A restart count that can't be read is somewhere between those around it.
    if (run.from_slurm && next_count == 0) break;
    if (run.from_slurm && it->claim) {
      if (it->claim->restart_count >= next_count) {
        while (!found.empty() && !found.back()->claim)
          found.pop_back();
        break;
      }
      next_count = it->claim->restart_count;
    }
    found.push_back(&*it);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace lockstep
