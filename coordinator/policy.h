#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/decision.h"
#include "common/error.h"
#include "coordinator/run_identity.h"
#include "coordinator/store_view.h"

namespace lockstep {

// What a launch brings to the decision besides the store.
struct LaunchFacts {
  Request request;
  RunIdentity run;
  std::optional<std::int64_t> max_iterations;
  std::optional<std::int64_t> max_epochs;
  std::string store_path;  // for texts
  std::int64_t world_size = 0;
  std::vector<std::string> hosts;
  std::string build;
  std::string config_digest;
};

// The decision, or the checkpoint that must be opened before it can be made: then examine it, put
// what was found into the view, and ask again.
struct Ruling {
  std::optional<CheckpointId> examine;
  DecisionRecord record;
  ErrorCode code = ErrorCode::kOk;  // of record.error
};

// Pure: DESIGN's decision table, the first row that fits, but for the rows on attempts that are
// alive (liveness.h). `plan`, the trial before the claim and the decision after it are this one
// function. record.attempt is the number that would be claimed: one above all there are. Total:
// every request and every store gives a record; an error is one too.
Ruling rule(const StoreView& store, const LaunchFacts& launch);

// Pure: the record of a launch that ends before the table is asked: in use, no store, unreadable.
DecisionRecord error_record(const LaunchFacts& launch, ErrorCode code, const std::string& error);

}  // namespace lockstep
