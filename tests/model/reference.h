#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/error.h"
#include "common/names.h"

namespace lockstep::model {

// What a launch must choose, written a second time from DESIGN's text and from nothing else: it
// calls none of the product's policy, requeue, lineage, candidate, retention or catalog code.
// All: Pure.

enum class State : std::uint8_t { kGood, kDamaged, kNotFinite };

struct CheckpointFact {
  State state = State::kGood;
  bool manifest_whole = true;
  std::optional<CheckpointId> parent;     // as its manifest says
  std::map<std::string, double> metrics;  // as its manifest says
};

// As a decision records it; neither of the two: fresh.
struct Start {
  std::optional<CheckpointId> parent;
  std::optional<std::string> source;  // of weights: "3@1200"
};

struct AttemptFact {
  bool claim_readable = false;
  bool decision_damaged = false;
  std::string run;
  std::int64_t restart_count = 0;
  int config = 0;
  Request request;
  std::optional<Start> decided;  // by a decision.json that can be read
  bool refused = false;
  std::optional<int> exit_code;                // of the outcome; nullopt: none
  std::optional<std::int64_t> iteration;       // of the heartbeat; nullopt: none
  std::optional<std::int64_t> last_committed;  // as its outcome or else its heartbeat says
};

struct Facts {
  bool store_there = false;
  std::map<std::int64_t, AttemptFact> attempts;
  std::map<CheckpointId, CheckpointFact> checkpoints;
};

struct Launch {
  Request request;
  std::string run;
  bool run_from_slurm = false;
  std::optional<std::string> job;
  std::int64_t restart_count = 0;
  int config = 0;
  std::int64_t max_iterations = 0;
  std::optional<KeepBest> keep_best;
};

// What of a request is done to what is restored.
struct Applied {
  bool model_only = false;
  std::vector<std::string> exclude;
  std::int64_t skip_samples = 0;

  friend bool operator==(const Applied&, const Applied&) = default;
};

// fresh; restore `parent` or the weights of `source`; finished at it; or the error `code`.
struct Choice {
  enum class Kind : std::uint8_t { kFresh, kRestore, kFinished, kError };
  Kind kind = Kind::kError;
  std::optional<CheckpointId> parent;
  ErrorCode code = ErrorCode::kOk;
  std::optional<std::string> source = {};
  Applied applied = {};

  friend bool operator==(const Choice&, const Choice&) = default;
};
std::string to_text(const Choice& choice);

Choice choose(const Facts& facts, const Launch& launch);

// The checkpoints that led to here, newest first.
std::vector<CheckpointId> line_of(const Facts& facts, std::int64_t attempt);

// The metric that a manifest says, the higher the better. nullopt: it has none.
std::optional<double> worth_of(const CheckpointFact& fact, const KeepBest& rule);

// What of a checkpoint section says which ones stay.
struct Keep {
  std::int64_t last = 2;
  std::optional<std::int64_t> every;
  std::optional<KeepBest> best;
};

// What retention deletes after a commit of `attempt`.
std::set<CheckpointId> to_delete(const Facts& facts, std::int64_t attempt, const Keep& keep,
                                 const std::set<CheckpointId>& pins);

}  // namespace lockstep::model
