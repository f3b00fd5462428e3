#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

// lockstepd's command line. Parsed alike on every rank: a function of argv alone.
struct Arguments {
  std::string config;
  std::vector<std::string> overrides;  // --set K=V
  bool evaluate = false;               // --evaluate
  bool check = false;                  // --check
  std::optional<int> exit_code;        // help, version or a mistake: print `text` and end
  std::string text;
};
// own_loop: of a program that is not lockstepd, and can't evaluate or check.
Arguments parse_arguments(int argc, const char* const* argv, bool own_loop = false);

// How long this rank waits for the others while it knows no configuration, as only rank 0 ever does
// before all have joined: LOCKSTEP_JOIN_SECONDS, else `otherwise`. nullopt: it says no such time.
std::optional<double> join_seconds_before_configuration(double otherwise);

// This process's rank by the launcher's variables, before MPI_Init; 0 without a launcher.
int rank_by_launcher();

}  // namespace lockstep
