#pragma once

#include <array>
#include <csignal>

namespace lockstep {

// What asks a job to save and stop from its first moment on, before it has read preempt.signals.
inline constexpr std::array kStopSignalsAtStart = {SIGUSR1, SIGUSR2, SIGTERM, SIGXCPU};

}  // namespace lockstep
