#pragma once

#include <algorithm>
#include <cstddef>

#include "worker/training_state.h"

namespace lockstep::testing {

// What GradientReduction makes of one rank's gradients.
inline void reduce_alone(const TrainingState& state) {
  const auto& regions = state.layout().regions;
  for (std::size_t r = 0; r < regions.size(); ++r)
    std::copy_n(state.gradients().begin() + regions[r].range.first, regions[r].range.count,
                state.own_gradients(r).begin());
}

}  // namespace lockstep::testing
