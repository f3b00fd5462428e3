#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace lockstep {

// What threads need that watch over others.

constexpr int kHungExitCode = 76;

// Local: writes to stderr past every lock and buffer of the process, which a thread that hangs may
// hold for ever. One write a call, so that lines of several ranks don't mix.
void write_to_stderr(std::string_view lines) noexcept;

// What a watchdog says, by write_to_stderr, as log.format has it.
class Voice {
 public:
  explicit Voice(bool json = false) : json_(json) {}
  void warning(const std::string& message) const;
  // For people without "error: " in front: they are facts about ranks.
  void error(const std::vector<std::string>& messages) const;

 private:
  bool json_;
};

// Local: a thread on which no signal is handled: they are for the training thread.
std::thread start_without_signals(std::function<void()> body);

// Local: the calling thread leaves the core to others that want it, but for a seventieth: nice 19.
void stand_back();

double monotonic_s();

}  // namespace lockstep
