#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/watchdog/rank_roll.h"

namespace lockstep {

// What a rank sees of a launch that not all have joined.
struct LaunchSeen {
  // By its rank and host, "" where that is not known. On rank 0 all that are missing, on others
  // those of their host and rank 0: so not everybody asks for everybody.
  std::vector<RankRoll::Entry> missing;
  bool root_here = false;
  double root_limit_s = 0;  // what rank 0 said; 0: nothing
};

// How ranks see each other before MPI has started: through the launcher.
class LaunchSight {
 public:
  LaunchSight() = default;
  LaunchSight(const LaunchSight&) = delete;
  LaunchSight& operator=(const LaunchSight&) = delete;
  virtual ~LaunchSight() = default;

  // Tells all others that this rank waits for them, and for how long. false: not possible yet.
  virtual bool say_here(double limit_s) = 0;
  // nullopt where nothing can be seen. Takes seconds at the most.
  virtual std::optional<LaunchSeen> look() = 0;
};

// Local, before there are threads: through PMIx, which Open MPI and srun --mpi=pmix speak, by the
// library that MPI itself has loaded by then. Where there is none nothing can be said or seen.
std::shared_ptr<LaunchSight> make_pmix_sight();

}  // namespace lockstep
