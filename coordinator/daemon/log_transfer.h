#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/log.h"

namespace lockstep {

// A checkpoint that was written or read, as `log` says it:
// "committed 1@2, loss 13.62: 1.9 GiB in 1.21 s, pwrite-dio, training held 0.02 s"; for machines
// {"committed": "1@2", "bytes", "seconds", "engine", "held_seconds"} beside it.
struct Transfer {
  const char* done;   // "committed"
  std::string what;   // "1@2"
  std::string about;  // ", loss 13.62"
  std::uint64_t bytes;
  double seconds;
  std::string engine = {};                  // of a save
  std::optional<double> held_seconds = {};  // of a save beside training
};
void log_transfer(const Log& log, const Transfer& transfer);

}  // namespace lockstep
