#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/decision.h"

namespace lockstep {

// What every rank learns of the decision: DESIGN's step 5.
struct SharedDecision {
  std::int64_t attempt = 0;
  std::string nonce;  // of claim.json: proof that all see one store
  DecisionRecord record;
  std::string manifest;  // the file's text; empty where nothing is loaded
};

// Pure. decode: Error(kInternal) on bytes that encode did not make.
std::string encode(const SharedDecision& decision);
SharedDecision decode_shared_decision(std::string_view bytes);

}  // namespace lockstep
