#include "coordinator/deadline.h"

#include "common/error.h"
#include "common/log.h"
#include "common/names.h"
#include "common/time_left.h"
#include "coordinator/amounts.h"

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

bool needs_time(DecisionKind kind) {
  return kind == DecisionKind::kFresh || kind == DecisionKind::kRestore;
}

std::optional<std::string> objection_to_launch(const Deadline& deadline, double left_s,
                                               const PreemptConfig& preempt,
                                               std::optional<double> save_s) {
  if (left_s <= 0)
    return "the deadline is past, " + deadline.from + " was " + duration_text(-left_s) +
           " ago: a launch now would claim nothing and end with 75";
  if (deadline_due({.now = left_s,
                    .at_start = left_s,
                    .save = save_s,
                    .iteration = 0,
                    .grace = static_cast<double>(preempt.grace_seconds)}))
    return "the deadline is in " + duration_text(left_s) + " (" + deadline.from +
           "): a launch now would train nothing and end with 75";
  return std::nullopt;
}

}  // namespace lockstep
