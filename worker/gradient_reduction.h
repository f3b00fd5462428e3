#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "common/comm.h"
#include "worker/region_sum.h"
#include "worker/training_state.h"

namespace lockstep {

// The sum of all ranks' gradients, each rank's part of it into its own_gradients: reduce-scatter, a
// region at a time, of those that backward is through with while it goes on (PyTorch DDP's buckets,
// Li et al. 2020; each sum goes to the rank that steps on it: ZeRO, Rajbhandari et al. 2020).
//
// Memory: kRegionsOnTheirWay times most_received().
class GradientReduction {
 public:
  // Collective: a communicator of its own. `state` must outlive it.
  GradientReduction(const Comm& parent, const TrainingState& state);
  // Where a sum is under way the communicator can't be freed: only behind finish().
  GradientReduction(const GradientReduction&) = delete;
  GradientReduction& operator=(const GradientReduction&) = delete;

  // Local, all but finish(). Throw MpiError only.
  void begin();                         // an iteration; nothing is complete
  void through(std::size_t parameter);  // its gradient is complete
  // Collective: what is not complete leaves as it is. The sum of squares of the own parts, in a
  // fixed order.
  double finish();

 private:
  struct Travel {
    std::size_t region;
    RegionSum sum;
  };

  void look();     // takes in what has come, and starts what may leave
  void start();    // the next region of layout().leaving
  void arrived();  // the oldest

  const Comm comm_;
  const TrainingState& state_;
  std::vector<std::size_t> tensors_;  // by region
  std::vector<std::size_t> missing_;  // by region: tensors that are not complete
  std::vector<double> squares_;       // by region
  std::size_t left_ = 0;              // of layout().leaving: those that have been started
  std::deque<Travel> under_way_;      // at most kRegionsOnTheirWay, in the order of their start
  std::vector<FloatBuffer> scratch_;  // of each that is under way
};

}  // namespace lockstep
