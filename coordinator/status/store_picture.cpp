#include "coordinator/status/store_picture.h"

namespace lockstep {

std::int64_t start_iteration(const AttemptView& attempt) {
  const auto& decision = attempt.decision;
  return decision && decision->parent ? decision->parent->checkpoint.iteration : 0;
}

Abandoned abandoned_of(const StorePicture& picture) {
  Abandoned found;
  for (const auto& row : picture.checkpoints)
    if (!row.in_lineage) {
      ++found.checkpoints;
      found.bytes += row.bytes;
    }
  return found;
}

}  // namespace lockstep
