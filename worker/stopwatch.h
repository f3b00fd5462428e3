#pragma once

#include <chrono>
#include <utility>

namespace lockstep {

// Adds the seconds of its life to `seconds`.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

// What `work` gives; the time that it takes is added to `seconds`.
template <typename Work>
decltype(auto) timed(double& seconds, Work&& work) {
  const Stopwatch stopwatch(seconds);
  return std::forward<Work>(work)();
}

}  // namespace lockstep
