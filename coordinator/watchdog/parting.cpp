#include "coordinator/watchdog/parting.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include <unistd.h>

#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/stack_dump.h"

namespace lockstep {
namespace {

constexpr std::size_t kMostNamed = 16;

std::string joined(const std::vector<Culprit>& culprits, const std::string& between) {
  std::string text;
  const auto named = std::min(culprits.size(), kMostNamed);
  for (std::size_t i = 0; i < named; ++i)
    text += (i > 0 ? between : "") + to_text(culprits[i]);
  if (named < culprits.size())
    text += between + "and " + std::to_string(culprits.size() - named) + " more ranks";
  return text;
}

}  // namespace

std::string lines_of(const std::vector<Culprit>& culprits) {
  return joined(culprits, "\n") + "\n";
}

std::string error_of(const std::vector<Culprit>& culprits) {
  return joined(culprits, "; ");
}

void print_stack(const std::string& who, pthread_t thread) {
  constexpr double kLimitSeconds = 0.5;
  const auto stack = stack_of(thread, kLimitSeconds);
  write_to_stderr(stack.empty()
                      ? who + ": its main thread does not answer: it is inside the kernel\n"
                      : who + ": its main thread is in\n" + stack);
}

bool finish_within(double seconds, std::function<void()> work,
                   const std::function<void()>& meanwhile) {
  constexpr double kSliceSeconds = 0.1;
  // Shared: where it is given up, it may still come to its end later.
  auto done = std::make_shared<std::promise<void>>();
  auto finished = done->get_future();
  start_without_signals([done, work = std::move(work)] {
    work();
    done->set_value();
  }).detach();
  // By the clock: on a busy machine a slice takes longer than it should.
  const double end_s = monotonic_s() + seconds;
  while (monotonic_s() < end_s) {
    if (finished.wait_for(std::chrono::duration<double>(kSliceSeconds)) ==
        std::future_status::ready)
      return true;
    meanwhile();
  }
  return false;
}

void leave_hung_job() {
  ::_exit(kHungExitCode);
}

}  // namespace lockstep
