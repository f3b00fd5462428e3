#pragma once

#include <optional>
#include <string>
#include <utility>

#include "common/config.h"
#include "coordinator/policy.h"
#include "coordinator/store_view.h"

namespace lockstep::testing {

inline Request request_of(RestoreMode mode) {
  Request request;
  request.present = true;
  request.mode = mode;
  return request;
}
inline Request fresh() {
  return request_of(RestoreMode::kFresh);
}
inline Request latest() {
  return request_of(RestoreMode::kLatest);
}
inline Request automatic() {
  auto request = latest();
  request.fresh_if_missing = true;
  return request;
}
inline Request iteration(std::int64_t wanted, std::optional<std::int64_t> attempt = {}) {
  auto request = request_of(RestoreMode::kIteration);
  request.iteration = wanted;
  request.attempt = attempt;
  return request;
}

// A store in a few words, as the catalog would see it; every checkpoint is examined already.
class StoreBuilder {
 public:
  StoreBuilder() { store_.exists = true; }

  // Begins the next attempt; what follows is about it.
  StoreBuilder& attempt(const std::string& run, const Request& request,
                        std::optional<CheckpointId> parent = {}) {
    AttemptView view;
    view.number = store_.highest_attempt() + 1;
    Claim claim;
    claim.run = run;
    claim.request = canonical_json(request);
    claim.world_size = 2;
    claim.hosts = {"n1"};
    claim.build = "b";
    claim.config_digest = "c";
    view.claim = claim;
    DecisionRecord record;
    record.kind = parent ? DecisionKind::kRestore : DecisionKind::kFresh;
    record.attempt = view.number;
    if (parent) record.parent = Parent{*parent, std::nullopt};
    record.request = canonical_json(request);
    record.run = run;
    view.decision = record;
    view.heartbeat = Heartbeat{5, parent ? parent->iteration + 7 : 7, std::nullopt};
    store_.attempts.push_back(view);
    store_.id = "id";
    return *this;
  }
  StoreBuilder& checkpoint(std::int64_t at, CheckpointState state = CheckpointState::kGood) {
    CheckpointView view{{last().number, at}, Examined{}, std::nullopt};
    view.examined->state = state;
    view.examined->manifest_digest = "digest of " + to_text(view.id);
    if (state == CheckpointState::kDamaged) view.examined->why = "shard 0: planted";
    Manifest manifest;
    manifest.checkpoint = view.id;
    manifest.parent = last().decision ? last().decision->parent : std::nullopt;
    manifest.data = {at * 10, 100, "d"};
    view.examined->manifest = manifest;
    store_.checkpoints.push_back(view);
    return tell_parent();
  }
  StoreBuilder& outcome(OutcomeKind kind, int exit_code) {
    last().outcome = Outcome{kind, exit_code, std::nullopt, std::nullopt, {}};
    return *this;
  }
  StoreBuilder& restarts(std::int64_t count) {
    last().claim->restart_count = count;
    return *this;
  }
  StoreBuilder& claim_damaged() {
    last().claim.reset();
    last().damage = {"claim.json: its digest does not fit its contents"};
    return *this;
  }
  StoreBuilder& decision_damaged() {
    last().decision.reset();
    last().damage.emplace_back("decision.json: digest is wrong");
    return tell_parent();
  }
  StoreBuilder& no_decision() {
    last().decision.reset();
    return tell_parent();
  }
  StoreBuilder& beat(std::int64_t at) {
    last().heartbeat = Heartbeat{1, at, std::nullopt};
    return *this;
  }
  AttemptView& last() { return store_.attempts.back(); }
  operator StoreView() const { return store_; }  // NOLINT(google-explicit-constructor)

 private:
  // As a scan does: without a decision the first manifest of the attempt's own tells the parent.
  StoreBuilder& tell_parent() {
    for (const auto& checkpoint : store_.checkpoints)
      if (const auto& found = checkpoint.examined; checkpoint.id.attempt == last().number &&
                                                   !last().decision && !last().told_parent &&
                                                   found->manifest)
        last().told_parent = found->manifest->parent;
    return *this;
  }

  StoreView store_;
};

inline LaunchFacts launch_of(const Request& request, const std::string& run = "",
                             std::int64_t max_iterations = 1000) {
  LaunchFacts launch;
  launch.request = request;
  launch.run = {run.empty() ? "generated" : run, !run.empty(), false, std::nullopt, 0};
  launch.max_iterations = max_iterations;
  launch.store_path = "/store";
  launch.world_size = 2;
  launch.hosts = {"n1"};
  launch.build = "b";
  launch.config_digest = "c";
  return launch;
}

}  // namespace lockstep::testing
