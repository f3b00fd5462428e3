#pragma once

#include <cstdint>
#include <string>

#include "common/log.h"

namespace lockstep {

// A checkpoint that was written or read, as `log` says it:
// "committed 1@2, loss 13.62: 1.9 GiB in 1.21 s"; for machines {"committed": "1@2", "bytes",
// "seconds"} beside it.
struct Transfer {
  const char* done;   // "committed"
  std::string what;   // "1@2"
  std::string about;  // ", loss 13.62"
  std::uint64_t bytes;
  double seconds;
};
void log_transfer(const Log& log, const Transfer& transfer);

}  // namespace lockstep
