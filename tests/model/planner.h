#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/model/job.h"
#include "tests/model/pruner.h"
#include "tests/model/world.h"

namespace lockstep::model {

// Who launches: a person, or a batch system that requeues.
struct User {
  enum class Runs : std::uint8_t { kNamed, kGenerated, kSlurm };
  Runs runs = Runs::kNamed;
  std::string name;
  std::optional<Request> request;  // of the last launch
  std::int64_t restart_count = -1;
  Keep keep;
};

// Draws what is launched next, and what befalls it.
class Planner {
 public:
  // On the colleague's store where `elsewhere`.
  Planner(World& world, bool elsewhere);

  Plan next_plan();
  PrunePlan next_prune();
  // A checkpoint that was there at some time, mostly one that still is.
  std::optional<CheckpointId> some_checkpoint(const Ledger& ledger);
  std::optional<CheckpointId> some_checkpoint() { return some_checkpoint(ledger_); }

 private:
  void identify(Plan& plan, User& user);
  Keep next_keep();
  std::map<std::string, double> next_metrics();
  void befall(Plan& plan);
  Moment some_moment();
  Request next_request(const User& user);
  void latest(Request& request);
  void named(Request& request, const Ledger& ledger);
  void limit(Request& request);
  std::string next_source(const Ledger*& ledger);
  void from(Request& request);

  World& world_;
  const bool elsewhere_;
  const Ledger& ledger_;
  Random& random_;
  std::vector<User> users_;
  std::int64_t generated_ = 0;
};

}  // namespace lockstep::model
