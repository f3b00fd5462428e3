#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/names.h"
#include "coordinator/liveness.h"
#include "coordinator/run_length.h"
#include "coordinator/standing.h"
#include "coordinator/status/curves.h"
#include "coordinator/store_view.h"

namespace lockstep {

// What a store's files tell, ready to be shown. Never changed once it is made.

struct CheckpointRow {
  CheckpointId id;
  Standing standing = Standing::kGood;
  std::uint64_t bytes = 0;
  std::optional<std::int64_t> world_size;
  std::optional<std::string> created;
  std::map<std::string, double> metrics;
  std::optional<DataPlace> data;
  bool in_lineage = false;  // the newest
  bool pinned = false;
  bool best = false;
  std::string why;  // of damage
};

struct AttemptRow {
  std::int64_t number = 0;
  std::optional<std::string> run;
  std::optional<CheckpointId> parent;  // of this store
  std::string origin;                  // origin_text()
  std::optional<std::string> source;   // where weights came from
  std::optional<std::string> outcome;
  std::string state;  // "finished", "running", "crashed"
  bool in_lineage = false;
  std::vector<std::string> damage;
};

struct AttemptCurve {
  std::int64_t attempt = 0;
  std::optional<std::string> run;
  bool in_lineage = false;
  std::optional<std::int64_t> until;  // where the newest lineage left it; nullopt: nowhere
  std::shared_ptr<const Curve> curve;
};

struct StorePicture {
  std::string path;
  std::optional<std::string> id;
  std::optional<AttemptView> newest;  // that counts
  Life life = Life::kDead;            // of it
  LocalSight sight = LocalSight::kElsewhere;
  std::vector<AttemptRow> attempts;                // ascending
  std::vector<CheckpointRow> checkpoints;          // newest first
  std::optional<CheckpointRow> newest_checkpoint;  // of the newest lineage
  std::optional<NextSave> next_save;
  std::optional<double> iterations_per_second;  // since the claim, by the file server's clock
  std::optional<std::int64_t> lost_iterations;  // between the attempt before and what was restored
  std::optional<std::uint64_t> free_bytes;
  std::vector<DamagedRecord> damaged;
  std::vector<AttemptCurve> curves;  // of the newest attempts, ascending
  double seen_s = 0;                 // when it was read, monotonic_s(); 0: not yet
  std::string unread;                // why the last look failed; then the rest is of an earlier one
  // Each rises when what it counts has changed.
  std::uint64_t lineage_revision = 0;
  std::uint64_t curves_revision = 0;
};

// How many checkpoints are abandoned, and their bytes. Pure.
struct Abandoned {
  std::size_t checkpoints = 0;
  std::uint64_t bytes = 0;
};
Abandoned abandoned_of(const StorePicture& picture);

}  // namespace lockstep
