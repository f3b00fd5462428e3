#pragma once

#include "coordinator/daemon/own_loop.h"

namespace lockstep {

// A rank's whole process, lockstepd's or, with `own`, one with a training loop of its own: signals,
// command line, MPI from its begin to its end, the session. The composition root: coordinator and
// worker meet in this folder, nowhere else. Gives the exit code, or ends the process with it.
int run_program(int argc, char** argv, const OwnBody& own = {});

}  // namespace lockstep
