#include "coordinator/daemon/log_transfer.h"

#include <array>
#include <cstdio>

#include "common/json_writing.h"
#include "coordinator/amounts.h"

namespace lockstep {

namespace {

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f s", seconds);
  return text.data();
}

}  // namespace

void log_transfer(const Log& log, const Transfer& transfer) {
  auto text = std::string(transfer.done) + " " + transfer.what + transfer.about + ": " +
              bytes_text(transfer.bytes) + " in " + seconds_text(transfer.seconds);
  Log::Fields fields = {{transfer.done, dump_json(transfer.what)},
                        {"bytes", std::to_string(transfer.bytes)},
                        {"seconds", json_number(transfer.seconds)}};
  if (!transfer.engine.empty()) {
    text += ", " + transfer.engine;
    fields.emplace_back("engine", dump_json(transfer.engine));
  }
  if (transfer.held_seconds) {
    text += ", training held " + seconds_text(*transfer.held_seconds);
    fields.emplace_back("held_seconds", json_number(*transfer.held_seconds));
  }
  log.info(text, fields);
}

}  // namespace lockstep
