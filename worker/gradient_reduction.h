#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "worker/collectives.h"
#include "worker/training_state.h"

namespace lockstep {

// The sum of all ranks' gradients, each rank's part of it into its own_gradients: reduce-scatter, a
// region at a time, of those that backward is through with while it goes on (PyTorch DDP's buckets,
// Li et al. 2020; each sum goes to the rank that steps on it: ZeRO, Rajbhandari et al. 2020).
//
// Local to make. What is given must outlive it.
class GradientReduction {
 public:
  GradientReduction(Collectives& collectives, const TrainingState& state);
  // Where a sum is under way the collectives can't go: only behind finish().
  GradientReduction(const GradientReduction&) = delete;
  GradientReduction& operator=(const GradientReduction&) = delete;

  // Local, all but finish(). Throw MpiError only.
  void begin();  // an iteration; nothing is complete
  // Its gradient is complete. Any thread, while the one that makes all other calls waits for it.
  // Error(kInvalidConfig): there is no such parameter, or it was told before.
  void through(std::size_t parameter);
  // Collective: what is not complete leaves as it is. The sum of squares of the own parts, in a
  // fixed order.
  double finish();

 private:
  struct Travel {
    std::size_t region;
    std::unique_ptr<Collectives::Sum> sum;
  };

  void look();     // takes in what has come, and starts what may leave
  void start();    // the next region of layout().leaving
  void arrived();  // the oldest

  Collectives& collectives_;
  const TrainingState& state_;
  const std::thread::id thread_;
  std::vector<std::size_t> tensors_;  // by region
  std::vector<std::size_t> missing_;  // by region: tensors that are not complete
  std::vector<char> told_;            // by parameter, in this iteration
  std::vector<double> squares_;       // by region
  std::size_t left_ = 0;              // of layout().leaving: those that have been started
  std::deque<Travel> under_way_;  // at most Collectives::kSumsAtOnce, in the order of their start
};

}  // namespace lockstep
