#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/log.h"
#include "worker/training_loop.h"

namespace lockstep {

// Shows people how training goes: one line every few seconds, means over the iterations since the
// last one; on a terminal a bar below it that moves.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(const Log& log);

  void add(const Progress& progress);
  void pause();   // prints what is not yet printed and removes the bar
  void resume();  // what happened since pause() counts for no rate

 private:
  using Clock = std::chrono::steady_clock;
  struct Window {
    Clock::time_point begin;
    std::int64_t iterations = 0;
    std::int64_t samples = 0;
    double loss = 0;
    double accuracy = 0;
  };
  void print();

  const Log& log_;
  Progress last_;
  Window window_;
  Clock::time_point bar_drawn_;
};

// Pure: "1:02:03", "4:05"; for people.
std::string clock_text(double seconds);

}  // namespace lockstep
