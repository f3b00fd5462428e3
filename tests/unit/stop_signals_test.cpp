#include "worker/stop_signals.h"

#include <csignal>
#include <vector>

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

// The flag can't be taken back, so each test has a process of its own: it exits with what it saw.
template <typename Body>
void expect_exit(int code, Body&& body) {
  EXPECT_EXIT(std::exit(body()), ::testing::ExitedWithCode(code), "");
}

TEST(StopSignals, TheFirstOneWins) {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGXCPU}) {
    expect_exit(signal, [signal] {
      watch_stop_signals();
      std::raise(signal);
      std::raise(SIGUSR1);
      return stop_signal_received();
    });
  }
}

TEST(StopSignals, NoneGivesZero) {
  expect_exit(0, [] {
    watch_stop_signals();
    return stop_signal_received();
  });
}

TEST(StopSignals, NarrowedOnesGetTheirDefaultActionBack) {
  EXPECT_EXIT(
      {
        watch_stop_signals();
        narrow_stop_signals(std::vector<std::string>{"USR1"});
        std::raise(SIGUSR2);
      },
      ::testing::KilledBySignal(SIGUSR2), "");
  EXPECT_EXIT(
      {
        watch_stop_signals();
        std::raise(SIGUSR2);
        narrow_stop_signals(std::vector<std::string>{"USR1"});
      },
      ::testing::KilledBySignal(SIGUSR2), "");
}

TEST(StopSignals, NarrowingKeepsWhatHasComeAndAddsOthers) {
  expect_exit(SIGUSR1, [] {
    watch_stop_signals();
    std::raise(SIGUSR1);
    narrow_stop_signals(std::vector<std::string>{"USR1", "HUP"});
    std::raise(SIGHUP);
    return stop_signal_received();
  });
  expect_exit(SIGHUP, [] {
    watch_stop_signals();
    narrow_stop_signals(std::vector<std::string>{"HUP"});
    std::raise(SIGHUP);
    return stop_signal_received();
  });
}

TEST(StopSignals, NamesThatCannotBeCaughtAreErrors) {
  for (const char* name : {"KILL", "STOP", "SIGUSR1", "usr1", ""}) {
    testing::error_of(ErrorCode::kInvalidConfig,
                      [&] { narrow_stop_signals(std::vector<std::string>{name}); });
  }
  EXPECT_EQ(signal_name(SIGXCPU), "XCPU");
  EXPECT_EQ(signal_name(63), "signal 63");
}

}  // namespace
}  // namespace lockstep
