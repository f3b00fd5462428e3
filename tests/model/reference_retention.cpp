#include <algorithm>

#include "tests/model/reference.h"

namespace lockstep::model {

namespace {

// The `count` best of the good ones; of equal ones the later is the better.
std::set<CheckpointId> best_of(const Facts& facts, const std::vector<CheckpointId>& line,
                               const KeepBest& rule) {
  std::set<CheckpointId> best;
  while (static_cast<std::int64_t>(best.size()) < rule.count) {
    std::optional<CheckpointId> next;
    std::optional<double> most;
    for (const auto& id : line) {
      const auto& fact = facts.checkpoints.at(id);
      const auto worth = worth_of(fact, rule);
      if (fact.state != State::kGood || !worth || best.contains(id) || (most && *worth <= *most))
        continue;
      next = id;
      most = worth;
    }
    if (!next) break;
    best.insert(*next);
  }
  return best;
}

}  // namespace

std::set<CheckpointId> to_delete(const Facts& facts, std::int64_t attempt, const Keep& keep,
                                 const std::set<CheckpointId>& pins) {
  const auto line = line_of(facts, attempt);
  const auto best = keep.best ? best_of(facts, line, *keep.best) : std::set<CheckpointId>{};
  std::set<CheckpointId> gone;
  std::int64_t good = 0;
  std::int64_t not_finite = 0;
  for (const auto& id : line) {
    const auto state = facts.checkpoints.at(id).state;
    const bool is_milestone = keep.every && id.iteration % *keep.every == 0;
    const bool goes = state == State::kNotFinite
                          ? not_finite++ > 0
                          : good >= keep.last && !is_milestone && !best.contains(id);
    if (goes && !pins.contains(id)) gone.insert(id);
    if (state == State::kGood) ++good;
  }
  return gone;
}

}  // namespace lockstep::model
