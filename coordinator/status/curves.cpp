#include "coordinator/status/curves.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "common/metrics.h"

namespace lockstep {

namespace {

using Json = nlohmann::json;

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

template <typename Point>
void CurveMaker::Thinning::keep(std::vector<Point>& kept, const Point& point) {
  if (seen++ % stride != 0) return;
  kept.push_back(point);
  if (kept.size() < 2 * kMostPoints) return;
  for (std::size_t i = 0; i < kMostPoints; ++i)
    kept[i] = std::move(kept[2 * i]);
  kept.resize(kMostPoints);
  stride *= 2;
}

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
    if (curve_.last && *iteration <= curve_.last->iteration) return;
    curve_.last = point_of(line, *iteration);
    points_.keep(curve_.points, *curve_.last);
    recent_.push_back(*curve_.last);
    if (recent_.size() > kMostRecent) recent_.pop_front();
  } else if (event == "evaluation") {
    curve_.last_evaluation = evaluation_of(line, *iteration);
    evaluations_.keep(curve_.evaluations, *curve_.last_evaluation);
  }
}

}  // namespace lockstep
