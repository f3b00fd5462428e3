#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/decision.h"
#include "common/selection.h"

namespace lockstep {

// What every rank learns of the decision: DESIGN's step 5.
struct SharedDecision {
  std::int64_t attempt = 0;
  std::string nonce;  // of claim.json: proof that all see one store
  DecisionRecord record;
  // Of a restore: what is loaded, from where, and what of it.
  std::optional<CheckpointId> checkpoint;  // nullopt: weights in files, or nothing
  std::string folder;                      // the checkpoint's
  std::string manifest;                    // the checkpoint's manifest.json
  std::string weights;                     // encode(Weights)
  Selection selection;
  std::int64_t skip_samples = 0;
};

// Pure. decode: Error(kInternal) on bytes that encode did not make.
std::string encode(const SharedDecision& decision);
SharedDecision decode_shared_decision(std::string_view bytes);

}  // namespace lockstep
