#include "coordinator/watchdog/parting.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <future>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include <unistd.h>

#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/stack_dump.h"

namespace lockstep {
std::vector<std::string> lines_of(const std::vector<Culprit>& culprits) {
  constexpr std::size_t kMostNamed = 16;
  std::vector<std::string> lines;
  const auto named = std::min(culprits.size(), kMostNamed);
  for (std::size_t i = 0; i < named; ++i)
    lines.push_back(to_text(culprits[i]));
  if (named < culprits.size())
    lines.push_back("and " + std::to_string(culprits.size() - named) + " more ranks");
  return lines;
}

std::string error_of(const std::vector<Culprit>& culprits) {
  std::string text;
  for (const auto& line : lines_of(culprits))
    text += (text.empty() ? "" : "; ") + line;
  return text;
}

void print_stack(const Voice& voice, const std::string& who, pthread_t thread) {
  constexpr double kLimitSeconds = 0.5;
  auto stack = stack_of(thread, kLimitSeconds);
  if (stack.empty())
    return voice.error({who + ": its main thread does not answer: it is inside the kernel"});
  if (stack.back() == '\n') stack.pop_back();
  voice.error({who + ": its main thread is in\n" + stack});
}

bool finish_within(double seconds, std::function<void()> work,
                   const std::function<void()>& meanwhile) {
  constexpr double kSliceSeconds = 0.1;
  // Shared: where it is given up, it may still come to its end later.
  auto done = std::make_shared<std::promise<void>>();
  auto finished = done->get_future();
  try {
    start_without_signals([done, work = std::move(work)] {
      work();
      done->set_value();
    }).detach();
  } catch (const std::system_error&) {  // a limit on threads: nobody could give it up
    return false;
  }
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

void leave_within(double seconds, int code, const std::string& who) {
  const auto guard = [=] {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    std::array<char, 100> text{};
    std::snprintf(
        text.data(), text.size(),
        ": does not get to its end within %g s after its work; leaves with exit code %d\n", seconds,
        code);
    write_to_stderr(who + text.data());
    ::_exit(code);
  };
  try {
    start_without_signals(guard).detach();
  } catch (const std::system_error&) {  // a limit on threads must not change how the job ended
  }
}

void leave_hung_job() {
  ::_exit(kHungExitCode);
}

}  // namespace lockstep
