#include "coordinator/status/store_picture.h"

namespace lockstep {

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
