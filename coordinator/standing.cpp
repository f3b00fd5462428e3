#include "coordinator/standing.h"

#include <algorithm>

#include "common/config.h"
#include "common/error.h"
#include "coordinator/amounts.h"
#include "coordinator/flat_values.h"
#include "coordinator/lineage.h"

namespace lockstep {

std::string to_text(Standing standing) {
  switch (standing) {
    case Standing::kGood:
      return "good";
    case Standing::kDamaged:
      return "damaged";
    case Standing::kNotFinite:
      return "not finite";
    case Standing::kAbandoned:
      return "abandoned";
  }
  throw Error(ErrorCode::kInternal, "no such standing");
}

Standing standing_of(const Examined& found, bool in_newest_lineage) {
  if (found.state == CheckpointState::kDamaged) return Standing::kDamaged;
  if (found.state == CheckpointState::kNotFinite) return Standing::kNotFinite;
  return in_newest_lineage ? Standing::kGood : Standing::kAbandoned;
}

bool is_eligible(Standing standing) {
  return standing == Standing::kGood;
}

std::string outcome_text(const AttemptView& attempt, LocalSight sight) {
  if (attempt.outcome) return to_text(attempt.outcome->outcome);
  if (sight == LocalSight::kThere) return "running";
  return sight == LocalSight::kGone ? "crashed" : "running or crashed";
}

std::string origin_text(const AttemptView& attempt) {
  if (parent_unknown(attempt)) return "?";
  if (const auto parent = parent_of(attempt)) return to_text(*parent);
  if (!attempt.decision) return "-";
  const auto& parent = attempt.decision->parent;
  if (parent && parent->store)
    return to_text(parent->checkpoint) +
           (parent->store->empty() ? " of a loose folder" : " of store " + *parent->store);
  return attempt.decision->source ? "weights of " + *attempt.decision->source : "-";
}

std::optional<NextSave> next_save(const AttemptView& attempt) {
  if (!attempt.claim || !attempt.heartbeat || attempt.outcome) return std::nullopt;
  const auto flat = flat_config(attempt.claim->config);
  const auto interval = flat_integer(flat, "checkpoint.interval").value_or(0);
  if (interval <= 0) return std::nullopt;
  std::int64_t next = 0;  // what was read may be anything
  if (__builtin_mul_overflow(attempt.heartbeat->iteration / interval + 1, interval, &next))
    return std::nullopt;
  return NextSave{std::min(next, flat_integer(flat, "run.max_iterations").value_or(next)),
                  flat_number(flat, "checkpoint.minutes")};
}

std::string or_earlier_text(const NextSave& next) {
  constexpr double kSeconds = 60;
  return next.minutes ? ", or " + duration_text(kSeconds * *next.minutes) + " after the last" : "";
}

std::vector<DamagedRecord> damaged_records(const StoreView& store) {
  std::vector<DamagedRecord> all;
  for (const auto& attempt : store.attempts)
    for (const auto& damage : attempt.damage) {
      const auto colon = damage.find(": ");
      const auto why = colon == std::string::npos ? std::string() : damage.substr(colon + 2);
      all.push_back(
          {"attempts/" + attempt_folder(attempt.number) + "/" + damage.substr(0, colon), why});
    }
  return all;
}

}  // namespace lockstep
