#include "coordinator/candidates.h"

#include <algorithm>

#include "coordinator/best.h"
#include "coordinator/lineage.h"

namespace lockstep {

std::string enumerate(std::span<const std::string> items, std::size_t limit) {
  std::string text;
  const auto shown = std::min(items.size(), limit);
  const bool more = shown < items.size();
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == shown && !more ? " and " : ", ";
    text += items[i];
  }
  if (more) text += " and " + std::to_string(items.size() - shown) + " more";
  return text;
}

namespace {

std::string list_damaged(const Pick& pick) {
  std::vector<std::string> each;
  for (const auto& r : pick.rejected)
    each.push_back(to_text(r.checkpoint) + " (" + r.why + ")");
  return enumerate(each, each.size());
}

// `others`: checkpoints that no candidates are.
std::string ways_out(bool others) {
  return std::string("; write restore: fresh to start anew") +
         (others ? ", or restore: A@N to take a checkpoint of another lineage (lockstep ls --all)"
                 : "");
}

std::string all_damaged(const StoreView& store, const Pick& pick, const std::string& whose) {
  return "no good checkpoint in " + whose + ": " + list_damaged(pick) +
         ways_out(pick.rejected.size() < store.checkpoints.size());
}

std::string too_much_lost(const Pick& pick, const CheckpointId& chosen, std::int64_t lost,
                          std::int64_t most) {
  const auto& first = pick.rejected.front();
  return to_text(first.checkpoint) + " is damaged (" + first.why + ") and the next good one, " +
         to_text(chosen) + ", gives up " + std::to_string(lost) +
         " iterations, but restore.max_lost_iterations is " + std::to_string(most) +
         "; raise it to allow that";
}

// `passed_over`: those that are not finite.
std::string none_there(const StoreView& store, const std::string& whose, std::size_t passed_over) {
  const bool nothing_at_all = passed_over == 0;
  auto text = "no " + std::string(nothing_at_all ? "" : "finite ") + "checkpoint in " + whose;
  if (nothing_at_all && !store.checkpoints.empty())
    text += "; the newest elsewhere in the store is " + to_text(store.checkpoints.back().id) +
            " (restore: " + to_text(store.checkpoints.back().id) + ")";
  return text + ways_out(!nothing_at_all && passed_over < store.checkpoints.size());
}

}  // namespace

Pick pick_newest(const StoreView& store, std::span<const CheckpointId> candidates,
                 const std::optional<std::int64_t>& max_lost_iterations, const std::string& whose) {
  Pick pick;
  std::optional<std::int64_t> newest;  // non-finite ones do not count for what is lost
  for (const auto& id : candidates) {
    const auto* view = store.checkpoint(id);
    if (view == nullptr) continue;
    if (!view->examined) {
      pick.examine = id;
      return pick;
    }
    if (view->examined->state == CheckpointState::kNotFinite) {
      pick.reasons.push_back(to_text(id) +
                             " is not finite (NaN or Inf in its tensors): passed over");
      continue;
    }
    newest = std::max(newest.value_or(id.iteration), id.iteration);
    if (view->examined->state == CheckpointState::kDamaged) {
      pick.rejected.push_back({id, view->examined->why});
      continue;
    }
    const auto lost = *newest - id.iteration;
    if (!pick.rejected.empty() && max_lost_iterations && lost > *max_lost_iterations) {
      pick.error = too_much_lost(pick, id, lost, *max_lost_iterations);
      pick.code = ErrorCode::kDamaged;
      return pick;
    }
    pick.chosen = id;
    return pick;
  }
  pick.code = pick.rejected.empty() ? ErrorCode::kNotFound : ErrorCode::kDamaged;
  if (!pick.rejected.empty()) {
    pick.error = all_damaged(store, pick, whose);
  } else {
    pick.error = none_there(store, whose, pick.reasons.size());
  }
  return pick;
}

namespace {

// The metric that a damaged checkpoint claims; its manifest may still be readable.
std::optional<double> claimed_metric(const CheckpointView& view, const KeepBest& rule) {
  if (!view.examined->manifest) return std::nullopt;
  const auto& metrics = view.examined->manifest->metrics;
  const auto found = metrics.find(rule.metric);
  return found != metrics.end() ? std::optional(found->second) : std::nullopt;
}

std::string no_metric(const KeepBest& rule, const std::string& whose, const Pick& pick) {
  return "no good checkpoint in " + whose + " has the metric " + rule.metric +
         ", by which checkpoint.keep_best goes" +
         (pick.rejected.empty() ? "" : ", and damaged are " + list_damaged(pick)) +
         "; name an iteration, or write restore: latest";
}

}  // namespace

Pick pick_best(const StoreView& store, std::span<const CheckpointId> candidates,
               const KeepBest& rule, const std::optional<std::int64_t>& max_lost_iterations,
               const std::string& whose) {
  for (const auto& id : candidates) {
    if (store.checkpoint(id)->examined) continue;
    Pick unknown;
    unknown.examine = id;
    return unknown;
  }
  Pick pick;
  std::optional<std::int64_t> newest;
  std::optional<double> best;
  for (const auto& id : candidates) {
    const auto& view = *store.checkpoint(id);
    if (view.examined->state != CheckpointState::kNotFinite)
      newest = std::max(newest.value_or(id.iteration), id.iteration);
    const auto metric = metric_of(view, rule);
    if (!metric || (best && !better(rule, *metric, *best))) continue;
    best = metric;
    pick.chosen = id;
  }
  for (const auto& id : candidates) {
    const auto& view = *store.checkpoint(id);
    if (view.examined->state != CheckpointState::kDamaged) continue;
    const auto metric = claimed_metric(view, rule);
    const bool known = view.examined->manifest.has_value();
    if (!known || (metric && (!best || better(rule, *metric, *best))))
      pick.rejected.push_back({id, view.examined->why});
  }
  if (!pick.chosen) {
    const bool any_good = std::ranges::any_of(candidates, [&](const CheckpointId& id) {
      return store.checkpoint(id)->examined->state == CheckpointState::kGood;
    });
    pick.code = pick.rejected.empty() ? ErrorCode::kNotFound : ErrorCode::kDamaged;
    pick.error = any_good || pick.rejected.empty() ? no_metric(rule, whose, pick)
                                                   : all_damaged(store, pick, whose);
    return pick;
  }
  const auto lost = *newest - pick.chosen->iteration;
  if (!pick.rejected.empty() && max_lost_iterations && lost > *max_lost_iterations) {
    pick.error = too_much_lost(pick, *pick.chosen, lost, *max_lost_iterations);
    pick.code = ErrorCode::kDamaged;
    pick.chosen.reset();
  }
  return pick;
}

std::optional<CheckpointId> best_of_newest(const StoreView& store) {
  const auto newest = newest_attempt(store);
  const auto rule = newest ? keep_best_of(*store.attempt(*newest)) : std::nullopt;
  if (!rule) return std::nullopt;
  return pick_best(store, newest_lineage(store).checkpoints, *rule, {}, "the newest lineage")
      .chosen;
}

std::string best_text(const StoreView& store, const CheckpointId& best, const KeepBest& rule) {
  const auto metric = metric_of(*store.checkpoint(best), rule);
  return metrics_text({{rule.metric, metric.value_or(0)}}) + " of " + to_text(best);
}

Pick pick_named(const StoreView& store, const CheckpointId& named) {
  Pick pick;
  const auto* view = store.checkpoint(named);
  if (view == nullptr) {
    pick.code = ErrorCode::kNotFound;
    pick.error = to_text(named) + " is gone from the store";
  } else if (!view->examined) {
    pick.examine = named;
  } else if (view->examined->state == CheckpointState::kDamaged) {
    pick.code = ErrorCode::kDamaged;
    pick.rejected.push_back({named, view->examined->why});
    pick.error = to_text(named) + " is damaged: " + view->examined->why +
                 "; a named checkpoint is never replaced by another: name one that is good " +
                 "(lockstep verify STORE reads them all), or write restore: latest";
  } else {
    pick.chosen = named;
    if (view->examined->state == CheckpointState::kNotFinite)
      pick.reasons.push_back(to_text(named) + " is not finite (NaN or Inf in its tensors)");
  }
  return pick;
}

}  // namespace lockstep
