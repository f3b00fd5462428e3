#pragma once

#include <malloc.h>

namespace lockstep {

// Before a program starts a thread. glibc gives threads up to eight arenas a core, and each stays
// as large as any thread ever needed: those of a save or load, which live for a second, left 40 MiB
// a rank where a model has 12,000 tensors. Two: the training thread's, and all others'.
inline void share_heap_arenas() {
  ::mallopt(M_ARENA_MAX, 2);
}

}  // namespace lockstep
