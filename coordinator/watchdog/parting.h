#pragma once

#include <functional>
#include <string>
#include <vector>

#include <pthread.h>

#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/rank_roll.h"

namespace lockstep {

// The end of a process whose training thread hangs. Nothing here waits for that thread, or for
// anything else without a limit.

// Pure: a line for each, at most 16, then how many more there are.
std::vector<std::string> lines_of(const std::vector<Culprit>& culprits);
// Pure: the same as one line, for outcome.json.
std::string error_of(const std::vector<Culprit>& culprits);

// Prints where `thread` is; `who`: "rank 2 (host)". At most a second.
void print_stack(const Voice& voice, const std::string& who, pthread_t thread);

// Calls `work` on a thread of its own, and gives it up after `seconds`: false. `meanwhile` is
// called ten times a second.
bool finish_within(double seconds, std::function<void()> work,
                   const std::function<void()>& meanwhile);

[[noreturn]] void leave_hung_job();  // _exit(76)

// For a rank whose work is done: bounds what is left of its process, the end of MPI and of
// libraries, where another rank or a device may hang: then it says so, as `who`, and is _exit(code)
// all the same.
void leave_within(double seconds, int code, const std::string& who);

}  // namespace lockstep
