#include "worker/stop_signals.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <string_view>

#include "common/error.h"
#include "worker/stop_signal_numbers.h"

namespace lockstep {
namespace {

struct Named {
  std::string_view name;
  int number;
};
constexpr std::array kSignals = {
    Named{"USR1", SIGUSR1}, Named{"USR2", SIGUSR2}, Named{"TERM", SIGTERM}, Named{"XCPU", SIGXCPU},
    Named{"HUP", SIGHUP},   Named{"INT", SIGINT},   Named{"CONT", SIGCONT}, Named{"ALRM", SIGALRM}};
bool is_watched_at_start(int number) {
  return std::find(kStopSignalsAtStart.begin(), kStopSignalsAtStart.end(), number) !=
         kStopSignalsAtStart.end();
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): see the header.
std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void remember(int signal) {
  int none = 0;
  received.compare_exchange_strong(none, signal);
}

void set_handler(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void watch_stop_signals() {
  sigset_t held;
  sigemptyset(&held);
  for (const int signal : kStopSignalsAtStart) {
    set_handler(signal, remember);
    sigaddset(&held, signal);
  }
  // The first stage holds them back.
  sigprocmask(SIG_UNBLOCK, &held, nullptr);
}

void narrow_stop_signals(std::span<const std::string> names) {
  for (const auto& name : names) {
    const bool known = std::any_of(kSignals.begin(), kSignals.end(),
                                   [&](const Named& signal) { return signal.name == name; });
    if (!known) {
      throw Error(ErrorCode::kInvalidConfig,
                  "preempt.signals: '" + name +
                      "' is none of USR1, USR2, TERM, XCPU, HUP, INT, CONT, ALRM");
    }
  }
  for (const auto& signal : kSignals) {
    if (std::find(names.begin(), names.end(), signal.name) != names.end()) {
      set_handler(signal.number, remember);
    } else if (is_watched_at_start(signal.number)) {
      set_handler(signal.number, SIG_DFL);
      int number = signal.number;
      if (received.compare_exchange_strong(number, 0)) std::raise(signal.number);
    }
  }
}

int stop_signal_received() {
  return received.load();
}

std::string signal_name(int signal) {
  for (const auto& named : kSignals) {
    if (named.number == signal) return std::string(named.name);
  }
  return "signal " + std::to_string(signal);
}

}  // namespace lockstep
