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

std::optional<KeepBest> keep_best_of(const AttemptView& attempt) {
  if (!attempt.claim) return std::nullopt;
  // Not config_from_json: an attempt of another build may lack keys that today's has.
  const auto flat = flat_config(attempt.claim->config);
  const auto text = [&](const char* key) {
    const auto found = flat.find(std::string("checkpoint.keep_best.") + key);
    return found != flat.end() ? found->second : std::string();
  };
  const auto metric = text("metric");
  if (metric.size() <= 2 || metric.front() != '"') return std::nullopt;
  KeepBest rule;
  rule.metric = metric.substr(1, metric.size() - 2);
  rule.maximize = text("mode") != R"("min")";
  return rule;
}

}  // namespace lockstep
