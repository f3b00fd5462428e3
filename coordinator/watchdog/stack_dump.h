#pragma once

#include <string>

#include <pthread.h>

namespace lockstep {

// Shows where another thread is, for a process that is about to end because it hangs.

// Local: from now on a thread of this process can be asked where it is. Installs the handler of one
// real-time signal, which with its pipe is the state of the program that a handler must reach. Once
// is enough; more does no harm.
void prepare_stack_dump();

// Local: `thread`'s stack, a frame a line; "" where it does not answer within `seconds`: it is
// stopped, or inside the kernel. Never waits longer, takes no lock but malloc's.
std::string stack_of(pthread_t thread, double seconds);

}  // namespace lockstep
