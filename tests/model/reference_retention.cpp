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

std::set<CheckpointId> gone_of(const Facts& facts, const std::vector<CheckpointId>& line,
                               const Keep& keep, const std::set<CheckpointId>& pins) {
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

// Whether a damaged decision hides what led to the newest lineage, or that there is a newer one.
bool is_hidden(const Facts& facts) {
  const auto hides = [&](std::int64_t number) {
    const auto it = facts.attempts.find(number);
    return it != facts.attempts.end() && !it->second.refused && it->second.decision_damaged &&
           !start_of(facts, number);
  };
  for (auto it = facts.attempts.rbegin(); it != facts.attempts.rend(); ++it) {
    if (it->second.refused) continue;
    if (hides(it->first)) return true;
    if (line_of(facts, it->first).empty()) continue;
    for (auto number = it->first;;) {
      if (hides(number)) return true;
      const auto start = start_of(facts, number);
      if (!start || !start->parent || start->store) return false;
      number = start->parent->attempt;
    }
  }
  return false;
}

}  // namespace

std::set<CheckpointId> to_delete(const Facts& facts, std::int64_t attempt, const Keep& keep,
                                 const std::set<CheckpointId>& pins) {
  return gone_of(facts, line_of(facts, attempt), keep, pins);
}

Pruned to_prune(const Facts& all, const Prune& prune, const std::set<CheckpointId>& pins) {
  const auto line = *field_of(all, std::nullopt);
  Pruned pruned;
  // Every byte is read of what others go for.
  auto facts = all;
  bool sound = false;
  for (const auto& id : line) {
    auto& fact = facts.checkpoints.at(id);
    sound = fact.state == State::kGood && fact.data_whole;
    if (sound) break;
    if (!fact.data_whole) fact.state = State::kDamaged;
  }
  if (prune.keep) {
    const auto& best = prune.keep->best;
    const bool has_metric = std::any_of(line.begin(), line.end(), [&](const CheckpointId& id) {
      const auto& fact = facts.checkpoints.at(id);
      return best && fact.state == State::kGood && worth_of(fact, *best);
    });
    if (best && !line.empty() && !has_metric) return {{}, ErrorCode::kInvalidConfig};
    pruned.ids = gone_of(facts, line, *prune.keep, pins);
  }
  if (!prune.abandoned) return pruned;
  if (is_hidden(facts)) return {{}, ErrorCode::kInvalidConfig};
  const std::set<CheckpointId> held(line.begin(), line.end());
  bool any = false;
  for (const auto& [id, fact] : facts.checkpoints)
    if (!held.contains(id) && !pins.contains(id)) any = pruned.ids.insert(id).second || any;
  // Nothing sound is left besides.
  if (any && !sound) return {{}, ErrorCode::kInvalidConfig};
  return pruned;
}

}  // namespace lockstep::model
