#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/log.h"

namespace lockstep {

constexpr int kPreemptedExitCode = 75;
constexpr int kStoppedExitCode = 77;

// The end of a launch that has claimed nothing yet, because of a stop signal, the deadline or a
// request to stop, while rank 0 waited for another launch's end. It travels in place of the text
// that all ranks wait for.

// Rank 0: what `decide` gives, or where it throws StoppedWaiting or StoppedOnRequest, an early end,
// said to the user.
std::string or_early_end(const Log& log, const std::function<std::string()>& decide);

std::string early_end(int exit_code);

// Pure: the exit code that `said` stands for; none where it is what was to be decided.
std::optional<int> early_exit_code(const std::string& said);

}  // namespace lockstep
