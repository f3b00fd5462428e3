#include "coordinator/deadline.h"

#include "common/error.h"
#include "common/log.h"
#include "common/names.h"

namespace lockstep {

std::optional<Deadline> find_deadline(const PreemptConfig& preempt,
                                      const Environment& environment) {
  if (!preempt.deadline_auto) return std::nullopt;
  for (const std::string name : {"LOCKSTEP_DEADLINE", "SLURM_JOB_END_TIME"}) {
    const auto text = environment(name);
    if (!text || text->empty()) continue;
    const auto at = parse_number(*text);
    if (!at)
      throw Error(ErrorCode::kInvalidConfig,
                  name + " is '" + escape_controls(text->substr(0, 100)) +
                      "', which is no number of seconds since the epoch; unset it, export another "
                      "(date -d '1 hour' +%s), or write preempt: {deadline: none}");
    return Deadline{*at, name};
  }
  return std::nullopt;
}

}  // namespace lockstep
