#pragma once

#include <functional>
#include <string_view>
#include <thread>

namespace lockstep {

// What threads need that watch over others.

constexpr int kHungExitCode = 76;

// Local: writes to stderr past every lock and buffer of the process, which a thread that hangs may
// hold for ever. One write a call, so that lines of several ranks don't mix.
void write_to_stderr(std::string_view lines) noexcept;

// Local: a thread on which no signal is handled: they are for the training thread.
std::thread start_without_signals(std::function<void()> body);

double monotonic_s();

}  // namespace lockstep
