#include "coordinator/status/curves.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "common/metrics.h"

namespace lockstep {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostEvaluations = 1000;
constexpr std::size_t kMostMetrics = 16;
constexpr std::size_t kMostOfANameBytes = 100;

std::optional<double> number(const Json& line, const std::string& key) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number()) return std::nullopt;
  const auto value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> count(const Json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto value = found->get<std::uint64_t>();
  constexpr auto kMost = std::uint64_t{1} << 53;  // what a page can count
  return value <= kMost ? std::optional(static_cast<std::int64_t>(value)) : std::nullopt;
}

std::string text(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

CurvePoint point_of(const Json& line, std::int64_t iteration) {
  CurvePoint point;
  point.iteration = iteration;
  point.position = count(line, "position").value_or(0);
  point.loss = number(line, "loss");
  point.accuracy = number(line, "accuracy");
  point.gradient_norm = number(line, "gradient_norm");
  point.learning_rate = number(line, "learning_rate");
  point.samples_per_second = number(line, "samples_per_second");
  point.iterations = count(line, "iterations").value_or(0);
  point.seconds = number(line, "seconds").value_or(0);
  const TimeSplit parts;
  for_each_part(parts, [&](const std::string& name, double) {
    point.spent_s[name] = number(line, name + "_seconds").value_or(0);
  });
  return point;
}

EvaluationPoint evaluation_of(const Json& line, std::int64_t iteration) {
  EvaluationPoint evaluation{iteration, {}};
  const auto metrics = line.find("metrics");
  if (metrics == line.end() || !metrics->is_object()) return evaluation;
  for (const auto& [name, unused] : metrics->items())
    if (const auto value = number(*metrics, name);
        value && name.size() <= kMostOfANameBytes && evaluation.metrics.size() < kMostMetrics)
      evaluation.metrics[name] = *value;
  return evaluation;
}

}  // namespace

void CurveMaker::add(std::string_view given) {
  const auto line = Json::parse(given, nullptr, false);
  if (!line.is_object()) return;
  const auto event = text(line, "event");
  const auto iteration = count(line, "iteration");
  if (!iteration) return;
  if (event == "start") {
    curve_.branch = *iteration;
    if (const auto parent = text(line, "parent");
        !parent.empty() && parent.size() <= kMostOfANameBytes)
      curve_.parent = parent;
  } else if (event == "interval") {
    add_point(point_of(line, *iteration));
  } else if (event == "evaluation" && curve_.evaluations.size() < kMostEvaluations) {
    curve_.evaluations.push_back(evaluation_of(line, *iteration));
  }
}

// One of `stride` points is kept; where there are too many every other one goes. So what was drawn
// stays where it was, and a curve costs the same however long it is.
void CurveMaker::add_point(const CurvePoint& point) {
  if (curve_.last && point.iteration <= curve_.last->iteration) return;
  curve_.last = point;
  if (seen_++ % stride_ != 0) return;
  curve_.points.push_back(point);
  if (curve_.points.size() < 2 * kMostPoints) return;
  std::vector<CurvePoint> kept;
  for (std::size_t i = 0; i < curve_.points.size(); i += 2)
    kept.push_back(std::move(curve_.points[i]));
  curve_.points = std::move(kept);
  stride_ *= 2;
}

}  // namespace lockstep
