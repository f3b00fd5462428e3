#pragma once

#include <span>
#include <string>

namespace lockstep {

// The signals that ask a job to save and stop. Handlers only set a flag, the one mutable global of
// the program: a handler can reach nothing else. The first signal wins; later ones change nothing.

// Local: installs the handler for kStopSignalsAtStart, which were held back until now
// (coordinator/daemon/first_stage.cpp). Call it first in main, before MPI_Init: a signal that comes
// while the job starts is remembered.
void watch_stop_signals();

// Local: from now on exactly `names` ("USR1") count; signals that were watched and are not named
// get their default action back, and if one had come already, it acts now. Error(kInvalidConfig) on
// a name that is no signal that can be caught.
void narrow_stop_signals(std::span<const std::string> names);

// The number of the first one received, 0 for none.
int stop_signal_received();

// Pure: "USR1"; "signal 42" where it has no name here.
std::string signal_name(int signal);

}  // namespace lockstep
