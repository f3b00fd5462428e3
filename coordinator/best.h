#pragma once

#include <optional>

#include "common/config.h"
#include "coordinator/store_view.h"

namespace lockstep {

// What `best` means, for the restore, for retention and for the commands alike. All: Pure.

// The metric by which `rule` compares, where the checkpoint was examined, is good, and has it.
std::optional<double> metric_of(const CheckpointView& checkpoint, const KeepBest& rule);

// Whether `a` is better than `b`. Neither of two equal ones is.
bool better(const KeepBest& rule, double a, double b);

// The rule of an attempt's configuration; nullopt where it has none, or where its claim is damaged.
std::optional<KeepBest> keep_best_of(const AttemptView& attempt);

}  // namespace lockstep
