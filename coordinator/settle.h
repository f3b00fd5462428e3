#pragma once

#include <string>

#include "coordinator/candidates.h"
#include "coordinator/policy.h"

namespace lockstep {

// Where a row looks for its candidates: the own store, or the one that restore.from names.
struct Ground {
  const StoreView& store;
  const SourceView* source = nullptr;  // where it is not the own store
};

// Writing a row's result into the ruling. All: Pure.

void settle_error(Ruling& ruling, ErrorCode code, const std::string& error);
void settle_fresh(Ruling& ruling, const StoreView& store, const std::string& reason);

// A pick: an error, a checkpoint to examine, or a restore. `applied`: scope, exclude and
// skip_samples of the request are applied; a run that carries on does not apply them again.
void settle_pick(Ruling& ruling, const Ground& ground, const Pick& pick,
                 const Request* applied = nullptr);

// Weights in files.
void settle_weights(Ruling& ruling, const SourceView& source, const Request& request);

// What a decision record calls a checkpoint from which weights were taken: "3@1200" in the own
// store, else its path.
std::string source_text(const Ground& ground, const CheckpointId& id);

}  // namespace lockstep
