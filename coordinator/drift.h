#pragma once

#include <string>
#include <vector>

#include "coordinator/policy.h"

namespace lockstep {

// What differs between how a checkpoint was made and how it would be carried on.

enum class DriftKind : std::uint8_t {
  kIgnored,          // says nothing about training, and everybody knows: restore, run.id
  kHarmless,         // another schedule of saves, another log
  kChangesTraining,  // learning rate, batch, data ...
};

// Pure: what it means that a configuration key ("optimizer.learning_rate") differs. What can't
// differ at all shows by the tensors' shapes when they are loaded.
DriftKind drift_of(const std::string& key);

// Pure: for the decision's reasons: "changes training: optimizer.learning_rate 0.001 -> 0.0005",
// one line for what changes training, one for what is harmless, one for what makes results differ
// in their last bits: ranks, threads, libraries, processor. Nothing where nothing differs. `full`:
// the optimizer and the data position are carried on too, not the weights alone.
std::vector<std::string> drift_reasons(const Manifest& manifest, const LaunchFacts& launch,
                                       bool full);

}  // namespace lockstep
