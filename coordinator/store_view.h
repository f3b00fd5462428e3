#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/attempt_records.h"
#include "common/decision.h"
#include "common/manifest.h"
#include "common/names.h"
#include "common/weights.h"

namespace lockstep {

// What a store holds, as values: made by the catalog, judged by pure functions.

enum class CheckpointState : std::uint8_t { kGood, kDamaged, kNotFinite };

// A checkpoint that was opened and checked.
struct Examined {
  CheckpointState state = CheckpointState::kGood;
  std::string why;                   // of damage
  std::optional<Manifest> manifest;  // absent where it is what is damaged
  std::string manifest_digest;       // "" where absent
  std::uint64_t bytes = 0;           // of all its files
};

// Checkpoints are known by name first; opening thousands of manifests to pick one would be waste.
struct CheckpointView {
  CheckpointId id;
  std::optional<Examined> examined;
  std::optional<std::string> trash = {};  // the trash folder's name where a deleter has it just now
  bool gone = false;  // not listed, though its attempt says that it was committed
};

// Of heartbeats, where neither a claim nor a configuration says.
inline constexpr double kUsualPeriodSeconds = 5;

struct AttemptView {
  std::int64_t number = 0;
  std::optional<Claim> claim;
  bool claim_unread = false;  // nothing that the scan is for depends on it
  std::optional<DecisionRecord> decision;
  std::optional<Outcome> outcome;
  std::optional<Heartbeat> heartbeat;  // where an outcome tells as much, only the newest's
  std::vector<std::string> damage;     // "decision.json: ..." for each record that is damaged
  // Without a decision: the parent that a manifest of its own checkpoints tells; outer nullopt:
  // none does.
  std::optional<std::optional<Parent>> told_parent = {};
};

struct StoreView {
  bool exists = false;                      // the folder is there
  bool can_be_made = true;                  // or its parent is
  std::optional<std::string> id;            // absent where nobody has written yet
  std::vector<AttemptView> attempts;        // ascending; one for every number seen anywhere
  std::vector<CheckpointView> checkpoints;  // ascending

  const AttemptView* attempt(std::int64_t number) const;
  const CheckpointView* checkpoint(const CheckpointId& wanted) const;
  CheckpointView* checkpoint(const CheckpointId& wanted);
  std::int64_t highest_attempt() const;  // 0 where there is none
};

enum class SourceKind : std::uint8_t { kStore, kCheckpoint, kWeights };

// What `restore.from` names, as values.
struct SourceView {
  SourceKind kind = SourceKind::kStore;
  std::string path;  // real
  // kStore: all of it. kCheckpoint: that one alone, examined; its id is that of the store that the
  // folder lies in, absent for a loose one.
  StoreView store;
  Weights weights;     // kWeights
  std::string digest;  // of the weights: their names, sizes and headers
};

}  // namespace lockstep
