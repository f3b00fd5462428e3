#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/decision.h"
#include "common/error.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Picking one checkpoint out of a row of candidates. All: Pure.

// What a pick came to: a checkpoint, or the next one that must be opened before it can be said, or
// an error.
struct Pick {
  std::optional<CheckpointId> chosen;
  std::optional<CheckpointId> examine;
  std::string error;
  ErrorCode code = ErrorCode::kOk;
  std::vector<Rejected> rejected;    // damaged
  std::vector<std::string> reasons;  // non-finite ones that were passed over
};

// The newest good one. Damaged ones are passed over, as far as max_lost_iterations allows;
// non-finite ones too, which costs nothing. `candidates`: newest first. `whose`: for texts,
// "attempt 3's lineage".
Pick pick_newest(const StoreView& store, std::span<const CheckpointId> candidates,
                 const std::optional<std::int64_t>& max_lost_iterations, const std::string& whose);

// The best by `rule` of the good ones; of equal ones the latest. Damaged ones that were better, or
// of which it can't be known, are passed over as far as max_lost_iterations allows.
Pick pick_best(const StoreView& store, std::span<const CheckpointId> candidates,
               const KeepBest& rule, const std::optional<std::int64_t>& max_lost_iterations,
               const std::string& whose);

// The best of the newest lineage, by keep_best of the newest attempt's configuration. The lineage
// must have been examined.
std::optional<CheckpointId> best_of_newest(const StoreView& store);

// "accuracy 0.9228 of 3@1200".
std::string best_text(const StoreView& store, const CheckpointId& best, const KeepBest& rule);

// Exactly this one, which must be there. Non-finite is allowed: it was named.
Pick pick_named(const StoreView& store, const CheckpointId& named);

// "30, 20 and 10" in the order given, at most `limit` of them, then "and 5 more".
std::string enumerate(std::span<const std::string> items, std::size_t limit = 12);

}  // namespace lockstep
