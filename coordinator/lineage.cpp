#include "coordinator/lineage.h"

#include <algorithm>
#include <set>

namespace lockstep {

namespace {

// The checkpoints are sorted by (attempt, iteration), so an attempt's own lie side by side.
template <typename Checkpoints>
auto find_checkpoint(Checkpoints& checkpoints, const CheckpointId& id) {
  return std::lower_bound(checkpoints.begin(), checkpoints.end(), id,
                          [](const CheckpointView& a, const CheckpointId& b) { return a.id < b; });
}

}  // namespace

const AttemptView* StoreView::attempt(std::int64_t number) const {
  const auto it =
      std::lower_bound(attempts.begin(), attempts.end(), number,
                       [](const AttemptView& a, std::int64_t wanted) { return a.number < wanted; });
  return it != attempts.end() && it->number == number ? &*it : nullptr;
}

const CheckpointView* StoreView::checkpoint(const CheckpointId& wanted) const {
  const auto it = find_checkpoint(checkpoints, wanted);
  return it != checkpoints.end() && it->id == wanted ? &*it : nullptr;
}

CheckpointView* StoreView::checkpoint(const CheckpointId& wanted) {
  const auto it = find_checkpoint(checkpoints, wanted);
  return it != checkpoints.end() && it->id == wanted ? &*it : nullptr;
}

std::int64_t StoreView::highest_attempt() const {
  return attempts.empty() ? 0 : attempts.back().number;
}

bool is_refused(const AttemptView& attempt) {
  return attempt.outcome && attempt.outcome->outcome == OutcomeKind::kRefused;
}

namespace {

// A parent counts only where it can be one: in this store, of an earlier attempt. So lineages end.
std::optional<CheckpointId> usable(const std::optional<Parent>& parent, std::int64_t attempt) {
  if (!parent || parent->store || parent->checkpoint.attempt >= attempt) return std::nullopt;
  return parent->checkpoint;
}

}  // namespace

std::optional<CheckpointId> parent_of(const AttemptView& attempt) {
  if (attempt.decision) return usable(attempt.decision->parent, attempt.number);
  return attempt.told_parent ? usable(*attempt.told_parent, attempt.number) : std::nullopt;
}

bool parent_unknown(const AttemptView& attempt) {
  return !attempt.decision && !attempt.told_parent;
}

std::vector<CheckpointId> lineage(const StoreView& store, std::int64_t attempt) {
  std::vector<CheckpointId> found;
  std::optional<CheckpointId> upto = CheckpointId{attempt, INT64_MAX};
  while (upto) {
    auto it =
        std::upper_bound(store.checkpoints.begin(), store.checkpoints.end(), *upto,
                         [](const CheckpointId& a, const CheckpointView& b) { return a < b.id; });
    while (it != store.checkpoints.begin() && std::prev(it)->id.attempt == upto->attempt)
      found.push_back((--it)->id);
    const auto* view = store.attempt(upto->attempt);
    upto = view != nullptr ? parent_of(*view) : std::nullopt;
  }
  return found;
}

std::optional<CheckpointId> previous_of(const StoreView& store, const CheckpointId& checkpoint) {
  const auto it = find_checkpoint(store.checkpoints, checkpoint);
  if (it != store.checkpoints.begin() && std::prev(it)->id.attempt == checkpoint.attempt)
    return std::prev(it)->id;
  for (const auto& id : lineage(store, checkpoint.attempt))
    if (id.attempt < checkpoint.attempt) return id;
  return std::nullopt;
}

std::int64_t shared_iteration(const StoreView& store, const CheckpointId& parent,
                              std::int64_t attempt) {
  // Parents have lower numbers, so the higher of the two is the one that goes back.
  CheckpointId first = parent;
  CheckpointId second{attempt, INT64_MAX};
  while (first.attempt != second.attempt) {
    auto& higher = first.attempt > second.attempt ? first : second;
    const auto* view = store.attempt(higher.attempt);
    const auto before = view != nullptr ? parent_of(*view) : std::nullopt;
    if (!before) return 0;
    higher = *before;
  }
  return std::min(first.iteration, second.iteration);
}

std::optional<std::int64_t> newest_attempt(const StoreView& store) {
  for (auto it = store.attempts.rbegin(); it != store.attempts.rend(); ++it)
    if (!is_refused(*it)) return it->number;
  return std::nullopt;
}

NewestLineage newest_lineage(const StoreView& store) {
  NewestLineage found;
  for (auto it = store.attempts.rbegin(); it != store.attempts.rend(); ++it) {
    if (is_refused(*it)) continue;
    found.checkpoints = lineage(store, it->number);
    if (!found.checkpoints.empty()) {
      found.attempt = it->number;
      return found;
    }
    found.passed_over.push_back(it->number);
  }
  return found;
}

std::vector<CheckpointId> abandoned(const StoreView& store) {
  const auto newest = newest_lineage(store).checkpoints;
  const std::set<CheckpointId> reached(newest.begin(), newest.end());
  std::vector<CheckpointId> left;
  for (auto it = store.checkpoints.rbegin(); it != store.checkpoints.rend(); ++it)
    if (!reached.contains(it->id)) left.push_back(it->id);
  return left;
}

}  // namespace lockstep
