#include "coordinator/cli/metrics_tail.h"

#include <limits>
#include <span>

#include <nlohmann/json.hpp>

#include "common/error.h"

namespace lockstep::cli {

namespace {

using nlohmann::json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double number_of(const json& line, const char* key, double otherwise) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : otherwise;
}

std::optional<std::int64_t> count_of(const json& line, const char* key) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number_integer() || *found < 0) return std::nullopt;
  if (found->is_number_unsigned() && *found > static_cast<std::uint64_t>(INT64_MAX))
    return std::nullopt;
  return found->get<std::int64_t>();
}

std::variant<std::monostate, Interval, Evaluation> interval_of(const json& line) {
  const auto iteration = count_of(line, "iteration");
  const auto iterations = count_of(line, "iterations");
  if (!iteration || !iterations) return {};
  Interval interval;
  interval.iteration = *iteration;
  interval.iterations = *iterations;
  interval.position = count_of(line, "position").value_or(0);
  interval.samples = count_of(line, "samples").value_or(0);
  interval.loss = number_of(line, "loss", kNone);
  if (const double accuracy = number_of(line, "accuracy", kNone); accuracy == accuracy)
    interval.accuracy = accuracy;
  interval.seconds = number_of(line, "seconds", 0);
  for_each_part(interval.spent, [&](const char* name, double& seconds) {
    seconds = number_of(line, (std::string(name) + "_seconds").c_str(), 0);
  });
  return interval;
}

std::variant<std::monostate, Interval, Evaluation> evaluation_of(const json& line) {
  const auto iteration = count_of(line, "iteration");
  const auto metrics = line.find("metrics");
  if (!iteration || metrics == line.end() || !metrics->is_object()) return {};
  Evaluation evaluation;
  evaluation.iteration = *iteration;
  for (const auto& [name, value] : metrics->items())
    if (value.is_number()) evaluation.metrics[name] = value.get<double>();
  return evaluation;
}

}  // namespace

std::variant<std::monostate, Interval, Evaluation> parse_metrics_line(std::string_view line) {
  const auto object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return {};
  const auto event = object.find("event");
  if (event == object.end()) return {};
  if (*event == "interval") return interval_of(object);
  if (*event == "evaluation") return evaluation_of(object);
  return {};
}

void MetricsTail::read(const FileSystem& files) {
  std::string text;
  try {
    const auto file = files.open(path_);
    const auto size = file->size();
    if (size < read_to_) *this = MetricsTail(path_);
    if (size - read_to_ > kMostBytes) {
      read_to_ = size - kMostBytes;
      in_midst_ = true;
    }
    text.resize(size - read_to_);
    file->read_at(read_to_, std::as_writable_bytes(std::span(text)));
  } catch (const Error& e) {
    // Not there yet; or cut off while it is read, which shows the next time.
    if (e.code() == ErrorCode::kNotFound || e.code() == ErrorCode::kDamaged) return;
    throw;
  }
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (!in_midst_) take(std::string_view(text).substr(begin, end - begin));
    in_midst_ = false;
  }
  read_to_ += begin;
}

void MetricsTail::take(std::string_view line) {
  const auto parsed = parse_metrics_line(line);
  if (const auto* interval = std::get_if<Interval>(&parsed)) intervals_.push_back(*interval);
  if (const auto* evaluation = std::get_if<Evaluation>(&parsed)) evaluation_ = *evaluation;
  if (intervals_.size() > kMostIntervals) intervals_.pop_front();
}

}  // namespace lockstep::cli
