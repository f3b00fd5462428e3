#include "coordinator/daemon/early_end.h"

#include "coordinator/daemon/root.h"
#include "coordinator/newest_look.h"
#include "worker/stop_signals.h"

namespace lockstep {
namespace {

// Neither a decision nor a record begins so.
constexpr std::string_view kMark = "early end ";

}  // namespace

std::string early_end(int exit_code) {
  return std::string(kMark) + std::to_string(exit_code);
}

std::optional<int> early_exit_code(const std::string& said) {
  for (const int code : {kPreemptedExitCode, kStoppedExitCode})
    if (said == early_end(code)) return code;
  return std::nullopt;
}

std::string or_early_end(const Log& log, const std::function<std::string()>& decide) {
  try {
    return decide();
  } catch (const StoppedWaiting& stopped) {
    const auto by = stopped.signal == 0 ? "the deadline" : signal_name(stopped.signal);
    log.info("preempted by " + by +
             " while waiting: nothing was claimed; exit 75: requeue to carry on");
    return early_end(kPreemptedExitCode);
  } catch (const StoppedOnRequest& stopped) {
    log.info("attempt " + std::to_string(stopped.attempt) +
             " was stopped on request while this launch waited for it: nothing was claimed; exit "
             "77: start it again to carry on");
    return early_end(kStoppedExitCode);
  }
}

}  // namespace lockstep
