#include "worker/progress.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace lockstep {
namespace {

constexpr double kLineSeconds = 5;
constexpr double kBarSeconds = 0.2;

template <typename... Args>
std::string print_to_string(const char* format, Args... args) {
  std::array<char, 160> text{};
  const int length = std::snprintf(text.data(), text.size(), format, args...);
  return {text.data(), std::min(text.size() - 1, static_cast<std::size_t>(std::max(0, length)))};
}

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(std::clamp(seconds, 0.0, 1e15));
  const long long minutes = whole / 60;
  if (minutes < 60) return print_to_string("%lld:%02lld", minutes, whole % 60);
  return print_to_string("%lld:%02lld:%02lld", minutes / 60, minutes % 60, whole % 60);
}

ProgressPrinter::ProgressPrinter(const Log& log) : log_(log) {}

void ProgressPrinter::add(const Progress& progress, const TimeSplit& spent) {
  final_iteration_ = progress.final_iteration;
  meter_.add(progress);
  const double now_s = since(made_);
  if (now_s - meter_.begun_s() >= kLineSeconds) print(spent);
  if (!log_.has_bar() || now_s - bar_drawn_s_ < kBarSeconds) return;
  draw_bar(progress.iteration);
  bar_drawn_s_ = now_s;
}

void ProgressPrinter::draw_bar(std::int64_t iteration) const {
  constexpr int kWidth = 24;
  const double done = static_cast<double>(iteration) /
                      static_cast<double>(std::max<std::int64_t>(1, final_iteration_));
  const auto full = static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * kWidth);
  log_.bar("[" + std::string(full, '#') + std::string(kWidth - full, '.') + "] " +
           print_to_string("%3.0f %%", 100 * done));
}

void ProgressPrinter::pause(const TimeSplit& spent) {
  if (meter_.iterations() > 0) print(spent);
  log_.bar("");
}

void ProgressPrinter::resume(const TimeSplit& spent) {
  meter_.begin(since(made_), spent);
}

void ProgressPrinter::print(const TimeSplit& spent) {
  const auto line = meter_.take(since(made_), spent);
  const double rate = samples_per_second(line);
  std::string text =
      print_to_string("iteration %lld/%lld  loss %.4g", static_cast<long long>(line.iteration),
                      static_cast<long long>(final_iteration_),
                      std::isnan(line.loss) ? std::fabs(line.loss) : line.loss);  // no "-nan"
  Log::Fields fields = {{"iteration", std::to_string(line.iteration)},
                        {"final_iteration", std::to_string(final_iteration_)},
                        {"loss", json_number(line.loss)}};
  if (line.accuracy) {
    text += print_to_string("  accuracy %.4f", *line.accuracy);
    fields.emplace_back("accuracy", json_number(*line.accuracy));
  }
  const double eta = static_cast<double>(final_iteration_ - line.iteration) * line.seconds /
                     static_cast<double>(line.iterations);
  text += print_to_string("  %.0f samples/s  ETA ", rate) + clock_text(eta);
  fields.insert(fields.end(), {{"samples_per_second", json_number(rate)},
                               {"eta_seconds", json_number(eta)},
                               {"learning_rate", json_number(line.learning_rate)},
                               {"gradient_norm", json_number(line.gradient_norm)},
                               {"seconds", json_number(line.seconds)}});
  for_each_part(line.spent, [&](const char* name, double seconds) {
    fields.emplace_back(std::string(name) + "_seconds", json_number(seconds));
  });
  log_.info(text, fields);
}

}  // namespace lockstep
