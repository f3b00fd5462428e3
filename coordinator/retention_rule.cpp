#include "coordinator/retention_rule.h"

#include <algorithm>
#include <utility>

#include "coordinator/best.h"

namespace lockstep {

RetentionRule rule_of(const CheckpointConfig& config) {
  return {config.keep_last, config.keep_every, config.keep_best};
}

std::set<CheckpointId> kept_as_best(const StoreView& store, std::span<const CheckpointId> lineage,
                                    const RetentionRule& rule) {
  if (!rule.keep_best) return {};
  std::vector<std::pair<double, CheckpointId>> ranked;
  for (const auto& id : lineage)
    if (const auto metric = metric_of(*store.checkpoint(id), *rule.keep_best))
      ranked.emplace_back(*metric, id);
  // Stable, and the lineage is newest first: of equal ones the later comes first.
  std::stable_sort(ranked.begin(), ranked.end(), [&](const auto& a, const auto& b) {
    return better(*rule.keep_best, a.first, b.first);
  });
  std::set<CheckpointId> best;
  for (const auto& [metric, id] : ranked) {
    if (static_cast<std::int64_t>(best.size()) >= rule.keep_best->count) break;
    best.insert(id);
  }
  return best;
}

namespace {

std::string behind(std::int64_t keep_last) {
  return keep_last == 1 ? "behind the newest good one"
                        : "behind the " + std::to_string(keep_last) + " newest good ones";
}

}  // namespace

std::vector<Deletion> choose_deletions(const StoreView& store,
                                       std::span<const CheckpointId> lineage,
                                       const RetentionRule& rule,
                                       const std::set<CheckpointId>& pins) {
  const auto best = kept_as_best(store, lineage, rule);
  const auto keep_last = std::max<std::int64_t>(rule.keep_last, 1);
  std::vector<Deletion> gone;
  std::int64_t newer_good = 0;
  bool newer_not_finite = false;
  for (const auto& id : lineage) {
    const auto& found = store.checkpoint(id)->examined;
    if (!found) continue;
    if (found->state == CheckpointState::kNotFinite) {
      if (std::exchange(newer_not_finite, true) && !pins.contains(id))
        gone.push_back({id, "not finite, as a newer one is"});
      continue;
    }
    const bool ahead = newer_good < keep_last;
    if (found->state == CheckpointState::kGood) ++newer_good;
    const bool milestone = rule.keep_every && id.iteration % *rule.keep_every == 0;
    if (ahead || milestone || best.contains(id) || pins.contains(id)) continue;
    const auto* damaged = found->state == CheckpointState::kDamaged ? "damaged, and " : "";
    gone.push_back({id, damaged + behind(keep_last)});
  }
  return gone;
}

}  // namespace lockstep
