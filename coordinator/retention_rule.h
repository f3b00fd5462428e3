#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/config.h"
#include "coordinator/store_view.h"

namespace lockstep {

// Which checkpoints of a lineage stay. A good one stays where one of these holds, and goes else:
//   - it is among the `keep_last` newest good ones: so the newest good one always stays
//   - its iteration is divisible by `keep_every`
//   - it is among the `keep_best.count` best by keep_best.metric of all good ones of the lineage;
//   of
//     equal ones the later is the better. One without the metric is never among them
//   - it is pinned
// A damaged one never counts, and stays or goes by its place alone: it stays ahead of the last that
// keep_last keeps (a failure to be looked into), where keep_every names it (it may be mended from a
// copy), and where it is pinned. Of non-finite ones the newest stays, and pinned ones. What could
// not be read is left alone and does not count.
//
// Only the lineage is judged. It holds the ancestors' checkpoints up to the branch points, so a
// checkpoint from which an abandoned branch started counts, stays and goes as any other; the
// branch's own checkpoints are whole in themselves, and no rule touches them. Who restores from a
// checkpoint beside the job that retains (another store's `from`, --evaluate, a colleague) pins it.
struct RetentionRule {
  std::int64_t keep_last = 3;  // at least 1
  std::optional<std::int64_t> keep_every;
  std::optional<KeepBest> keep_best;
};

RetentionRule rule_of(const CheckpointConfig& config);

struct Deletion {
  CheckpointId checkpoint;
  std::string why;  // "behind the 3 newest good ones"
};

// Pure: those of `lineage`, newest first, that keep_best keeps, as far as they were examined.
std::set<CheckpointId> kept_as_best(const StoreView& store, std::span<const CheckpointId> lineage,
                                    const RetentionRule& rule);

// Pure: what goes of `lineage`, which is newest first, and examined as far as it could be read.
std::vector<Deletion> choose_deletions(const StoreView& store,
                                       std::span<const CheckpointId> lineage,
                                       const RetentionRule& rule,
                                       const std::set<CheckpointId>& pins);

}  // namespace lockstep
