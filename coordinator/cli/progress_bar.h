#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "coordinator/examine.h"
#include "coordinator/liveness.h"

namespace lockstep::cli {

// kSeconds: what is waited for has no amount; the time itself is shown, and how much of it there is
// at most.
enum class Unit : std::uint8_t { kBytes, kThings, kSeconds };

// How far something is that takes a while.
struct Progress {
  std::string what;  // "verifying"
  Unit unit = Unit::kBytes;
  std::uint64_t done = 0;
  std::uint64_t total = 0;     // 0: not known
  double seconds = 0;          // since it began
  std::uint64_t begun_at = 0;  // what was done by then, which counts for no rate
};

// Pure: "verifying  [###---]  50 %  1.0 GiB of 2.0 GiB  512.0 MiB/s  2 s left", within so many
// columns (0: no end): then the bar is shorter, and last what is said is cut.
std::string progress_text(const Progress& progress, std::size_t columns);

// Such a line on stderr, which replaces itself: only where that is a terminal, and only after the
// first second. Safe from any thread.
class ProgressBar {
 public:
  explicit ProgressBar(std::string what, Unit unit = Unit::kBytes, std::uint64_t total = 0,
                       std::uint64_t begun_at = 0);
  ~ProgressBar();  // removes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // What comes next; its rate is its own.
  void begin(std::string what, Unit unit, std::uint64_t total);
  void add_total(std::uint64_t more);
  void add(std::uint64_t more);
  void reach(std::uint64_t done);
  void tell(std::string what);  // what it is at; of kSeconds
  void clear();            // the line, until the next that is done: before something else is said
  double seconds() const;  // since it was made

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Shows what is waited for wherever this clock sleeps: seconds, and how many at most where that is
// known (0: not). `bar` must outlive it.
Clock clock_shown_on(ProgressBar& bar, const std::string& what, double most_s = 0);

// Shows how attempts are read, and checkpoints opened and verified. `bar` must outlive it.
ReadProgress shown_on(ProgressBar& bar);

}  // namespace lockstep::cli
