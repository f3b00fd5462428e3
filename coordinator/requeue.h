#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/policy.h"

namespace lockstep {

// Requests are applied once per run. All: Pure.

// The attempts of the run that decided by today's request, without a break up to now.
struct AppliedBefore {
  std::int64_t first = 0;             // the attempt that applied it
  std::int64_t newest = 0;            // the newest of them
  std::optional<Parent> start;        // from which the newest started; nullopt: fresh, or weights
  std::optional<std::string> source;  // its decision's: weights, or a checkpoint elsewhere
  std::string source_digest;
  std::optional<CheckpointId> named;  // from which the first started, where it was named
  bool committed_since = false;       // a checkpoint of any of them, good or damaged
};

// nullopt: the request is not yet applied by this run, or is to be applied at every launch.
std::optional<AppliedBefore> applied_before(const StoreView& store, const Request& request,
                                            const RunIdentity& run);

// Whether applying the request once more would do something else than carrying on.
bool applies_again(const Request& request);

// Newest first: the lineage of the run's newest attempt, but after a named restore nothing older
// than what was named.
std::vector<CheckpointId> carry_on_candidates(const StoreView& store, const AppliedBefore& before);

std::string carry_on_text(const Request& request, const AppliedBefore& before,
                          const CheckpointId& chosen);
std::string same_start_text(const Request& request, const AppliedBefore& before);

// The error of a crash loop: the run's last 3 attempts made this very decision and each crashed or
// hung before completing one iteration.
std::optional<std::string> crash_loop(const StoreView& store, const LaunchFacts& launch,
                                      const Ruling& ruling);

}  // namespace lockstep
