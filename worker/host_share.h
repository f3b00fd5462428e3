#pragma once

#include "common/comm.h"

namespace lockstep {

// The computer that this rank runs on.
struct HostShare {
  int ranks = 1;       // of `comm`, on this host
  int index = 0;       // among them
  int cores = 1;       // that this rank may use
  int host_cores = 1;  // that these ranks may use together
  int threads = 1;     // OMP_NUM_THREADS where set, else host_cores shared out, at most `cores`

  bool first() const { return index == 0; }
};
// Collective. Ranks are bound to cores by who starts them, which alone knows what else runs on a
// host: two jobs that bound themselves would sit on the same cores. Threads are made to fit.
HostShare host_share(const Comm& comm);

}  // namespace lockstep
