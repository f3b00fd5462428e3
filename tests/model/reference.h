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

// As a decision records it; neither of the two: fresh.
struct Start {
  std::optional<CheckpointId> parent;
  std::optional<std::string> store = {};   // of a parent elsewhere: its store's id, "" where loose
  std::optional<std::string> source = {};  // of weights, or elsewhere: "3@1200", or a path
  std::string digest = {};                 // of its manifest
};

struct CheckpointFact {
  State state = State::kGood;
  bool manifest_whole = true;
  bool data_whole = true;                 // only who reads every byte knows
  Start start;                            // of its attempt, as its manifest says
  std::map<std::string, double> metrics;  // as its manifest says
  std::string digest = {};                // of its manifest as it was committed
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
  std::optional<std::string> id = {};
  std::map<std::int64_t, AttemptFact> attempts = {};
  std::map<CheckpointId, CheckpointFact> checkpoints = {};
};

// What restore.from names.
struct Source {
  enum class Kind : std::uint8_t { kNothing, kForeign, kBroken, kStore, kCheckpoint };
  Kind kind = Kind::kNothing;
  std::string path;
  Facts facts = {};  // of the store; or the one checkpoint, and the id of the store that it lies in
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
  std::optional<CheckpointId> parent = {};
  ErrorCode code = ErrorCode::kOk;
  std::optional<std::string> store = {};   // of the parent, as Start's
  std::optional<std::string> source = {};  // as Start's
  Applied applied = {};

  friend bool operator==(const Choice&, const Choice&) = default;
};
std::string to_text(const Choice& choice);

// `source`: what launch.request.from names, where it names anything.
Choice choose(const Facts& facts, const Launch& launch, const Source* source = nullptr);

// Where an attempt started: its decision, else what its own manifests say. nullopt: nobody can
// tell.
std::optional<Start> start_of(const Facts& facts, std::int64_t attempt);

// The checkpoints that led to here, newest first.
std::vector<CheckpointId> line_of(const Facts& facts, std::int64_t attempt);

// Where `latest`, `best` and an iteration look. nullopt: the attempt named can't be taken.
std::optional<std::vector<CheckpointId>> field_of(const Facts& facts,
                                                  std::optional<std::int64_t> attempt);

// One of a line, or why none.
struct Pick {
  std::optional<CheckpointId> id;
  ErrorCode code = ErrorCode::kOk;
};
Pick newest_good(const Facts& facts, const std::vector<CheckpointId>& line,
                 const std::optional<std::int64_t>& most_lost);
Pick best_good(const Facts& facts, const std::vector<CheckpointId>& line, const KeepBest& rule,
               const std::optional<std::int64_t>& most_lost);
Pick exactly(const Facts& facts, const std::vector<CheckpointId>& line, std::int64_t iteration);

// The metric that a manifest says, the higher the better. nullopt: it has none.
std::optional<double> worth_of(const CheckpointFact& fact, const KeepBest& rule);

// What of a checkpoint section says which ones stay.
struct Keep {
  std::int64_t last = 2;
  std::optional<std::int64_t> every;
  std::optional<KeepBest> best;
};

// As a scan sees it: what the newest attempt says that it committed last, and is not there, is
// damaged, not absent.
Facts with_missing_commit(Facts facts);

// What `lockstep prune` is asked for.
struct Prune {
  std::optional<Keep> keep;  // along the lineage that `latest` would take
  bool abandoned = false;    // and all that is outside of it
};
struct Pruned {
  std::set<CheckpointId> ids;
  ErrorCode code = ErrorCode::kOk;
};
Pruned to_prune(const Facts& facts, const Prune& prune, const std::set<CheckpointId>& pins);

// What retention deletes after a commit of `attempt`.
std::set<CheckpointId> to_delete(const Facts& facts, std::int64_t attempt, const Keep& keep,
                                 const std::set<CheckpointId>& pins);

}  // namespace lockstep::model
