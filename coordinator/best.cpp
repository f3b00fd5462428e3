#include "coordinator/best.h"

namespace lockstep {

std::optional<double> metric_of(const CheckpointView& checkpoint, const KeepBest& rule) {
  const auto& found = checkpoint.examined;
  if (!found || found->state != CheckpointState::kGood || !found->manifest) return std::nullopt;
  const auto metric = found->manifest->metrics.find(rule.metric);
  return metric != found->manifest->metrics.end() ? std::optional(metric->second) : std::nullopt;
}

bool better(const KeepBest& rule, double a, double b) {
  return rule.maximize ? a > b : a < b;
}

}  // namespace lockstep
