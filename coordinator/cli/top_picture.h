#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/metrics.h"
#include "common/names.h"
#include "coordinator/cli/terminal.h"
#include "coordinator/standing.h"
#include "coordinator/status/curves.h"

namespace lockstep::cli {

// What `lockstep top` shows of a job, as values, and how.

// In the order in which they happen, also within a second.
struct TopEvent {
  enum Kind : std::uint8_t { kBegin, kCommit, kEnd };
  std::int64_t time_s = 0;  // since 1970
  std::int64_t attempt = 0;
  Kind kind = kBegin;
  std::string text;

  friend auto operator<=>(const TopEvent&, const TopEvent&) = default;
};

struct TopCheckpoint {
  CheckpointId id;
  std::uint64_t bytes = 0;
  std::optional<std::int64_t> created_s;
};

struct TopFacts {
  std::int64_t now_s = 0;  // seconds since 1970, as all times here
  std::string store;
  std::string state;  // "running", "finished, exit code 0"
  bool alive = false;
  std::string attempt;  // "2 of run demo, 4 ranks, on n7 (process 4711)"; "" where there is none
  std::string started;  // "from 1@882"
  std::optional<std::int64_t> started_s;
  std::optional<std::int64_t> iteration;
  std::optional<std::int64_t> final_iteration;
  // So long the iteration has been the same, as this watch or the store's files tell.
  double still_s = 0;
  std::optional<double> iterations_per_second;
  double samples_per_second = 0;
  std::vector<double> losses;      // ascending with the iteration; NaN: not finite
  std::vector<double> accuracies;  // none where the task counts none
  std::optional<EvaluationPoint> evaluation;
  TimeSplit spent;
  std::optional<TopCheckpoint> newest;
  std::optional<NextSave> next_save;
  std::optional<std::int64_t> deadline_s;
  std::optional<std::uint64_t> free_bytes;
  std::size_t abandoned = 0;  // checkpoints
  std::uint64_t abandoned_bytes = 0;
  bool abandoned_known = true;   // false: there are more bytes, not looked at yet
  std::vector<TopEvent> events;  // newest first
  std::string trouble;           // why the store can't be read now; "": it can
};

// Pure: lines, of which none is wider than the screen and no more than it has rows, each with its
// newline. Where the screen has no end all is shown.
std::string draw_top(const TopFacts& facts, const Screen& screen);

}  // namespace lockstep::cli
