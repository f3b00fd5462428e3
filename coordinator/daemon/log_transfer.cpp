#include "coordinator/daemon/log_transfer.h"

#include <array>
#include <cstdio>

#include "common/strict_json.h"
#include "coordinator/amounts.h"

namespace lockstep {

void log_transfer(const Log& log, const Transfer& transfer) {
  std::array<char, 32> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%.2f s", transfer.seconds);
  log.info(std::string(transfer.done) + " " + transfer.what + transfer.about + ": " +
               bytes_text(transfer.bytes) + " in " + seconds.data(),
           {{transfer.done, dump_json(transfer.what)},
            {"bytes", std::to_string(transfer.bytes)},
            {"seconds", json_number(transfer.seconds)}});
}

}  // namespace lockstep
