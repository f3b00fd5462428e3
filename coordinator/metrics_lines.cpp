#include "coordinator/metrics_lines.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string_view>

#include <nlohmann/json.hpp>

#include "coordinator/json_text.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

Json begun(const MetricsOrigin& origin, double time_s, std::string_view event,
           std::int64_t iteration, std::int64_t position) {
  return {{"event", event},
          {"time", utc_text(time_s)},
          {"run", origin.run},
          {"attempt", origin.attempt},
          {"branch", origin.iteration},
          {"iteration", iteration},
          {"position", position}};
}

std::string ended(const Json& line) {
  return json_text(line) + "\n";
}

}  // namespace

std::string start_line(const MetricsOrigin& origin, double time_s) {
  auto line = begun(origin, time_s, "start", origin.iteration, origin.position);
  line["parent"] = nullptr;
  if (origin.parent) line["parent"] = to_text(origin.parent->checkpoint);
  if (origin.parent && origin.parent->store) line["parent_store"] = *origin.parent->store;
  return ended(line);
}

std::string line_of(const MetricsOrigin& origin, double time_s, const Interval& interval,
                    const ProcessMemory& memory) {
  auto line = begun(origin, time_s, "interval", interval.iteration, interval.position);
  line["iterations"] = interval.iterations;
  line["samples"] = interval.samples;
  line["loss"] = interval.loss;
  if (interval.accuracy) line["accuracy"] = *interval.accuracy;
  line["gradient_norm"] = interval.gradient_norm;
  line["learning_rate"] = interval.learning_rate;
  line["samples_per_second"] = samples_per_second(interval);
  line["seconds"] = interval.seconds;
  for_each_part(interval.spent, [&](const char* name, double seconds) {
    line[std::string(name) + "_seconds"] = seconds;
  });
  line["memory_bytes"] = or_null(memory.resident_bytes);
  line["peak_memory_bytes"] = or_null(memory.peak_bytes);
  return ended(line);
}

std::string line_of(const MetricsOrigin& origin, double time_s, const Evaluation& evaluation) {
  auto line = begun(origin, time_s, "evaluation", evaluation.iteration, evaluation.position);
  line["seconds"] = evaluation.seconds;
  line["metrics"] = Json::object();
  for (const auto& [name, value] : evaluation.metrics)
    line["metrics"][name] = value;
  return ended(line);
}

std::string utc_text(double time_s) {
  constexpr std::int64_t kMilliseconds = 1000;
  const auto milliseconds = static_cast<std::int64_t>(std::floor(time_s * kMilliseconds));
  const auto seconds = static_cast<std::time_t>(milliseconds / kMilliseconds);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 24> to_seconds{};
  std::strftime(to_seconds.data(), to_seconds.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", to_seconds.data(),
                static_cast<int>(milliseconds % kMilliseconds));
  return text.data();
}

}  // namespace lockstep
