#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/names.h"
#include "coordinator/cli/terminal.h"
#include "coordinator/state_diff.h"

namespace lockstep::cli {

// What `lockstep rehearse` does and finds, as values. All: Pure.

enum class RunKind : std::uint8_t { kStraight, kCut, kKilled };
std::string to_text(RunKind kind);  // "straight", "cut", "killed"

// How far the runs go. A checkpoint is due thrice.
struct Scale {
  std::int64_t start = 0;  // the iteration that restore.from gives; 0 without
  std::int64_t iterations = 0;

  std::int64_t end() const { return start + iterations; }
  std::int64_t interval() const { return iterations / 3; }
};

// Where one run works.
struct RunPlace {
  std::string run;    // its id
  std::string store;  // absolute
  std::string textfile;
};

// What is set over the user's configuration, so that a run is short, has a store of its own, and
// nothing of the user's is written to: `--set` texts, to be put behind the user's own.
std::vector<std::string> overrides_for(const Config& config, const Scale& scale,
                                       const RunPlace& place);

// What a first launch's end means.
enum class Ending : std::uint8_t { kAsMeant, kTooLate, kFailed };
// `struck`: the signal was sent while the launcher ran.
Ending judge_first(RunKind kind, int code, bool struck);
// Why that end is none that was meant: "ended with 138, expected 75; ...".
std::string objection(RunKind kind, int code);

// Iterations that make a run long enough to be interrupted, where `before` took `seconds` to train.
std::int64_t more_iterations(std::int64_t before, double seconds);

// What an interruption costs: iterations trained, and not restored.
std::int64_t lost_iterations(std::int64_t trained, std::int64_t restored);

// Whether trigger iterations are reached.
bool is_time_to_cut(const Scale& scale, std::int64_t iteration);
bool is_time_to_kill(const Scale& scale, std::int64_t iteration,
                     std::optional<std::int64_t> committed);

// How a state differs from straight's, a line for each fact and tensor; none: it is the same.
std::vector<std::string> differences_of(const StateDiff& diff);

// What of a launch's log tells why it failed: its last lines. Of each message that Open MPI puts
// between two lines of dashes only the first paragraph, which has the cause: the advice behind it
// is longer than all that is shown.
std::vector<std::string> telling_lines(const std::vector<std::string>& log);

// Error(kIo) where fewer than `checkpoints` of `checkpoint_bytes` have room.
void require_room(std::uint64_t free_bytes, std::uint64_t checkpoint_bytes,
                  std::uint64_t checkpoints);

struct RunFound {
  RunKind kind = RunKind::kStraight;
  std::vector<int> exit_codes;             // of its launches
  std::optional<CheckpointId> checkpoint;  // its last
  std::vector<std::string> differences;    // from straight's
  std::int64_t compared = 0;               // tensors
  std::optional<std::int64_t> lost;
  std::optional<double> resume_seconds;  // from the second launch to its first new iteration
};

struct Rehearsal {
  Scale scale;
  std::int64_t ranks = 0;
  std::vector<RunFound> runs;  // all three, or none where a launch failed
  int exit_code = 0;
  std::optional<std::string> error;
  std::optional<std::string> kept;  // the scratch folder, where it stays

  bool equal() const;
};

std::string to_text(const Rehearsal& rehearsal, const Screen& screen);
std::string to_json(const Rehearsal& rehearsal);

}  // namespace lockstep::cli
