#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/file_system.h"
#include "coordinator/examine.h"
#include "coordinator/liveness.h"
#include "coordinator/policy.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Step 1 of a launch: the newest attempt, where it may still be at work.

struct LookOptions {
  bool ignore_running = false;   // leaves step 1 out
  bool wait_for_outcome = true;  // false: judge only whether it is alive (plan)
  Depth depth = Depth::kHeaders;
  ReadProgress progress = {};
};

// Thrown where the attempt that this launch waited for was stopped on request: who stops a store's
// training means the launch that would go on with it, too.
struct StoppedOnRequest {
  std::int64_t attempt = 0;
};

// One launch's look at the newest attempt, as often as the store is scanned. Local.
class NewestLook {
 public:
  NewestLook(const FileSystem& files, const LaunchFacts& launch, const Clock& clock,
             const LookOptions& options, const std::function<void(const std::string&)>& say)
      : files_(files), launch_(launch), clock_(clock), options_(options), say_(say) {}

  // Waits for an attempt that is alive, as DESIGN's table says. true: nobody is at work, `store`
  // may be decided on; false: something has changed while it waited, scan again.
  // Error(kInUse, kOwnRunAlive), StoppedOnRequest.
  bool is_free(const StoreView& store);

 private:
  enum class End : std::uint8_t { kOutcome, kDead, kStillAlive };
  End wait_for_end(const AttemptView& attempt, const Reaction& reaction) const;

  const FileSystem& files_;
  const LaunchFacts& launch_;
  const Clock& clock_;
  const LookOptions& options_;
  const std::function<void(const std::string&)>& say_;
  std::int64_t taken_over_ = 0;  // judged once; a second look would wait the same time again
  std::int64_t waited_for_ = 0;
};

}  // namespace lockstep
