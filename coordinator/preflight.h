#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/error.h"
#include "coordinator/deadline.h"

namespace lockstep {

// What `lockstep doctor` and `lockstepd --check` find out before a job costs anything, as values:
// how bad it is, is judged here; probe.h and the daemon's check stage find out.

enum class Verdict : std::uint8_t { kOk, kWarning, kError };
std::string to_text(Verdict verdict);  // "ok", "warning", "error"

struct Check {
  std::string name;  // "direct I/O"
  Verdict verdict = Verdict::kOk;
  std::string text;                 // what was found
  std::string advice = {};          // "" where there is none to give
  ErrorCode code = ErrorCode::kOk;  // of an error

  static Check ok(std::string name, std::string text);
  static Check warning(std::string name, std::string text, std::string advice);
  static Check error(std::string name, ErrorCode code, std::string text, std::string advice);
};

// All below: Pure.

// Of the first error; 0 without one: warnings are no failure.
int exit_code_of(const std::vector<Check>& checks);
// "9 checks: 7 ok, 2 warnings", a line.
std::string sums_text(const std::vector<Check>& checks);
// A table, advice on lines of its own, and the line with the sums. Control characters escaped.
std::string to_text(const std::vector<Check>& checks);
// {"checks": [{"name", "verdict", "text", "advice": "..." | null}], "exit_code"}
std::string to_json(const std::vector<Check>& checks);

struct Space {
  std::uint64_t free_bytes = 0;
  std::optional<std::uint64_t> checkpoint_bytes;  // of one; nullopt: not known
  std::int64_t keep_last = 0;
  std::int64_t kept = 0;  // checkpoints of the lineage that are there already
};
// Room for keep_last + 2: those that stay, one that is being written before an old one is deleted,
// and one to spare. An error where not even two fit.
Check judge_space(const Space& space);

// The advice behind a failed write: `usual`, but where the text says that there is no room, to make
// some.
std::string advice_after(const std::string& failure, const std::string& usual);

// `ahead_s`: a clock's lead over the own one. Nothing is decided by clocks: ages are shown by them.
Check judge_clock(const std::string& whose, double ahead_s);

struct Memory {
  std::string host;
  std::uint64_t needed_bytes = 0;     // by all ranks of the host
  std::uint64_t available_bytes = 0;  // 0: not known
};
Check judge_memory(const std::vector<Memory>& hosts);

// The time that a launch now would have; what a save of it takes is not known.
Check judge_deadline(const Deadline& deadline, double left_s, const PreemptConfig& preempt);

// What must be alike on all ranks; `by_rank`: rank 0's first.
struct OfRank {
  std::string host;
  std::string value;
};
Check judge_alike(const std::string& name, const std::vector<OfRank>& by_rank,
                  const std::string& advice);

// One check made in several places, rank 0's first: the worst of them, and where. `kind`: of the
// places, "host".
struct PlaceCheck {
  std::string place;
  Check check;
};
Check judge_places(const std::vector<PlaceCheck>& places, const std::string& kind);

// The first "4.1.4" after "Open MPI" in what mpirun, or MPI itself, says of its version.
std::optional<std::string> open_mpi_version(const std::string& text);
// A launcher of another Open MPI starts every process as a job of one rank.
Check judge_launcher(const std::optional<std::string>& of_mpirun,
                     const std::optional<std::string>& of_lockstepd, bool srun, bool srun_has_pmix);

}  // namespace lockstep
