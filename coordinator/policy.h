#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/decision.h"
#include "common/error.h"
#include "common/selection.h"
#include "coordinator/run_identity.h"
#include "coordinator/store_view.h"

namespace lockstep {

// What a launch brings to the decision besides the store.
struct LaunchFacts {
  Request request;
  bool request_is_set = false;  // by --set: the file says something else, or may
  RunIdentity run;
  std::optional<std::int64_t> max_iterations;
  std::optional<std::int64_t> max_epochs;
  std::optional<KeepBest> keep_best;
  bool evaluates = false;  // --evaluate: nothing is trained, so nothing can be finished
  std::string store_path;  // for texts, and to know the own store again
  std::optional<std::string> from_path;  // what request.from means on this machine
  std::int64_t world_size = 0;
  std::vector<std::string> hosts;
  std::string build;
  std::string config = "{}";  // canonical_json(Config)
  std::string config_digest;
  // What only a job knows, for what differs from when the checkpoint was made; empty in `plan`.
  std::optional<DataPosition> data;
  std::map<std::string, std::string> environment;
  double heartbeat_seconds = kUsualPeriodSeconds;  // the own; for attempts without a readable claim
};

// A checkpoint of this store, or of what restore.from names.
struct Chosen {
  CheckpointId id;
  bool in_source = false;

  friend bool operator==(const Chosen&, const Chosen&) = default;
};

// The decision, or what must be looked at before it can be made: then put what was found into the
// views, and ask again.
struct Ruling {
  std::optional<Chosen> examine;  // this checkpoint
  bool read_source = false;       // what restore.from names

  DecisionRecord record;
  ErrorCode code = ErrorCode::kOk;  // of record.error
  // Of a restore:
  std::optional<Chosen> chosen;  // nullopt: weights in files
  Selection selection;
  std::int64_t skip_samples = 0;  // to pass over after it

  bool settled() const { return !examine && !read_source; }
};

// Pure: DESIGN's decision table, the first row that fits, but for the rows on attempts that are
// alive (liveness.h). `plan`, the trial before the claim and the decision after it are this one
// function. record.attempt is the number that would be claimed: one above all there are. Total:
// every request and every store gives a record; an error is one too. `source`: what restore.from
// names, once it was read.
Ruling rule(const StoreView& store, const LaunchFacts& launch, const SourceView* source = nullptr);

// Pure: the record of a launch that ends before the table is asked: in use, no store, unreadable.
DecisionRecord error_record(const LaunchFacts& launch, ErrorCode code, const std::string& error);

}  // namespace lockstep
