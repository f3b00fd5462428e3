#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/job.h"
#include "tests/model/world.h"

namespace lockstep::model {

struct Report {
  std::vector<std::string> differences;
  std::vector<std::string> story;
  Counts counts;
};

// One random history of one store, all by its seed: launches of several runs, go-backs, saves,
// crashes and power cuts between any two operations, jobs stopped before any operation while others
// take over, retention, prune between and beside them, damage, tensors that are not finite, reads
// and writes that fail; and beside it a colleague's store, a copy and loose checkpoints, from which
// launches restore, and which change, break and go. `steps`: what each job does.
Report run_history(std::uint64_t seed, const Steps& steps = {});

}  // namespace lockstep::model
