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

ProgressPrinter::ProgressPrinter(const Log& log)
    : log_(log), window_{.begin = Clock::now()}, bar_drawn_(window_.begin) {}

void ProgressPrinter::add(const Progress& progress) {
  last_ = progress;
  window_.iterations += 1;
  window_.samples += progress.samples;
  window_.loss += progress.loss;
  window_.accuracy += progress.accuracy.value_or(0);
  if (since(window_.begin) >= kLineSeconds) print();
  if (log_.has_bar() && since(bar_drawn_) >= kBarSeconds) {
    constexpr int kWidth = 24;
    const double done = static_cast<double>(last_.iteration) /
                        static_cast<double>(std::max<std::int64_t>(1, last_.final_iteration));
    const auto full = static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * kWidth);
    log_.bar("[" + std::string(full, '#') + std::string(kWidth - full, '.') + "] " +
             print_to_string("%3.0f %%", 100 * done));
    bar_drawn_ = Clock::now();
  }
}

void ProgressPrinter::pause() {
  if (window_.iterations > 0) print();
  log_.bar("");
}

void ProgressPrinter::resume() {
  window_.begin = Clock::now();
}

void ProgressPrinter::print() {
  const auto iterations = static_cast<double>(window_.iterations);
  const double seconds = since(window_.begin);
  const double left = static_cast<double>(last_.final_iteration - last_.iteration);
  const double rate = static_cast<double>(window_.samples) / std::max(seconds, 1e-9);
  const double loss = window_.loss / iterations;
  std::string text =
      print_to_string("iteration %lld/%lld  loss %.4g", static_cast<long long>(last_.iteration),
                      static_cast<long long>(last_.final_iteration),
                      std::isnan(loss) ? std::fabs(loss) : loss);  // no "-nan"
  Log::Fields fields = {{"iteration", std::to_string(last_.iteration)},
                        {"final_iteration", std::to_string(last_.final_iteration)},
                        {"loss", json_number(loss)}};
  if (last_.accuracy) {
    text += print_to_string("  accuracy %.4f", window_.accuracy / iterations);
    fields.emplace_back("accuracy", json_number(window_.accuracy / iterations));
  }
  const double eta = left * seconds / iterations;
  text += print_to_string("  %.0f samples/s  ETA ", rate) + clock_text(eta);
  fields.insert(fields.end(), {{"samples_per_second", json_number(rate)},
                               {"eta_seconds", json_number(eta)},
                               {"learning_rate", json_number(last_.learning_rate)},
                               {"gradient_norm", json_number(last_.gradient_norm)}});
  log_.info(text, fields);
  window_ = {.begin = Clock::now()};
}

}  // namespace lockstep
