// The reference's lineages, and what is taken of them.

#include <algorithm>

#include "tests/model/reference.h"

namespace lockstep::model {

Facts with_missing_commit(Facts facts) {
  std::optional<CheckpointId> last;
  for (const auto& [number, attempt] : facts.attempts) {
    if (attempt.refused) continue;
    last.reset();
    if (attempt.last_committed) last = CheckpointId{number, *attempt.last_committed};
  }
  // A later one of it is there: then it has gone on, and this one was its own to delete.
  const bool went_on =
      last && std::any_of(facts.checkpoints.begin(), facts.checkpoints.end(), [&](const auto& c) {
        return c.first.attempt == last->attempt && c.first.iteration > last->iteration;
      });
  if (!last || went_on) return facts;
  CheckpointFact lost;
  lost.state = State::kDamaged;
  lost.manifest_whole = false;
  facts.checkpoints.emplace(*last, lost);
  return facts;
}

std::optional<Start> start_of(const Facts& facts, std::int64_t attempt) {
  const auto it = facts.attempts.find(attempt);
  if (it != facts.attempts.end() && it->second.decided) return it->second.decided;
  for (const auto& [id, checkpoint] : facts.checkpoints)
    if (id.attempt == attempt && checkpoint.manifest_whole) return checkpoint.start;
  return std::nullopt;
}

std::vector<CheckpointId> line_of(const Facts& facts, std::int64_t attempt) {
  std::vector<CheckpointId> line;
  std::optional<CheckpointId> from = CheckpointId{attempt, INT64_MAX};
  while (from) {
    for (auto it = facts.checkpoints.rbegin(); it != facts.checkpoints.rend(); ++it)
      if (it->first.attempt == from->attempt && it->first.iteration <= from->iteration)
        line.push_back(it->first);
    const auto start = start_of(facts, from->attempt);
    from = start && !start->store ? start->parent : std::nullopt;
  }
  return line;
}

std::optional<std::vector<CheckpointId>> field_of(const Facts& facts,
                                                  std::optional<std::int64_t> attempt) {
  if (attempt) {
    const auto it = facts.attempts.find(*attempt);
    if (it == facts.attempts.end() || it->second.refused) return std::nullopt;
    return line_of(facts, *attempt);
  }
  for (auto it = facts.attempts.rbegin(); it != facts.attempts.rend(); ++it)
    if (!it->second.refused)
      if (auto line = line_of(facts, it->first); !line.empty()) return line;
  return std::vector<CheckpointId>{};
}

Pick newest_good(const Facts& facts, const std::vector<CheckpointId>& line,
                 const std::optional<std::int64_t>& most_lost) {
  std::int64_t newest = -1;
  bool damage = false;
  for (const auto& id : line) {
    const auto state = facts.checkpoints.at(id).state;
    if (state == State::kNotFinite) continue;
    newest = std::max(newest, id.iteration);
    damage = damage || state == State::kDamaged;
    if (state == State::kDamaged) continue;
    if (most_lost && newest - id.iteration > *most_lost) return {{}, ErrorCode::kDamaged};
    return {id};
  }
  return {{}, damage ? ErrorCode::kDamaged : ErrorCode::kNotFound};
}

// Of equal ones the later. Where a damaged one may have been better this is a fallback.
Pick best_good(const Facts& facts, const std::vector<CheckpointId>& line, const KeepBest& rule,
               const std::optional<std::int64_t>& most_lost) {
  std::optional<CheckpointId> best;
  std::optional<double> most;
  std::int64_t newest = -1;
  for (const auto& id : line) {
    const auto& fact = facts.checkpoints.at(id);
    if (fact.state != State::kNotFinite) newest = std::max(newest, id.iteration);
    const auto worth = worth_of(fact, rule);
    if (fact.state != State::kGood || !worth || (most && *worth <= *most)) continue;
    best = id;
    most = worth;
  }
  const bool falls_back = std::any_of(line.begin(), line.end(), [&](const CheckpointId& id) {
    const auto& fact = facts.checkpoints.at(id);
    if (fact.state != State::kDamaged) return false;
    const auto worth = worth_of(fact, rule);
    return !fact.manifest_whole || (worth && (!most || *worth > *most));
  });
  if (!best) return {{}, falls_back ? ErrorCode::kDamaged : ErrorCode::kNotFound};
  if (falls_back && most_lost && newest - best->iteration > *most_lost)
    return {{}, ErrorCode::kDamaged};
  return {best};
}

Pick exactly(const Facts& facts, const std::vector<CheckpointId>& line, std::int64_t iteration) {
  for (const auto& id : line) {
    if (id.iteration != iteration) continue;
    if (facts.checkpoints.at(id).state == State::kDamaged) return {{}, ErrorCode::kDamaged};
    return {id};
  }
  return {{}, ErrorCode::kNotFound};
}

std::optional<double> worth_of(const CheckpointFact& fact, const KeepBest& rule) {
  const auto it = fact.metrics.find(rule.metric);
  if (!fact.manifest_whole || it == fact.metrics.end()) return std::nullopt;
  return rule.maximize ? it->second : -it->second;
}

}  // namespace lockstep::model
