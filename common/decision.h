#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/manifest.h"
#include "common/names.h"

namespace lockstep {

enum class DecisionKind : std::uint8_t { kFresh, kRestore, kFinished, kError };

// A candidate that was passed over.
struct Rejected {
  CheckpointId checkpoint;
  std::string why;
};

// decision.json and what `lockstep plan --json` prints: DESIGN's record; every field always there.
struct DecisionRecord {
  DecisionKind kind = DecisionKind::kError;
  std::optional<std::int64_t> attempt;
  std::optional<Parent> parent;
  std::optional<std::string> source;
  std::string request = "{}";  // canonical_json(Request)
  std::string run;
  bool verified_bytes = false;  // "verified": "headers" | "bytes"
  std::vector<std::string> reasons;
  std::vector<Rejected> rejected;
  std::optional<std::string> manifest_digest;
  int exit_code = 0;
  std::optional<std::string> error;
};

std::string to_text(DecisionKind kind);  // "fresh"

// Pure. to_json is the record as DESIGN writes it, keys in its order, one line; decision.json holds
// the same sealed by a digest. parse: Error(kDamaged).
std::string to_json(const DecisionRecord& record);
std::string encode_decision(const DecisionRecord& record);
DecisionRecord parse_decision(std::string_view text, std::string_view what);

}  // namespace lockstep
