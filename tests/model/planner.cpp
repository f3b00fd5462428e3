#include "tests/model/planner.h"

#include <iterator>

namespace lockstep::model {

Planner::Planner(World& world, bool elsewhere)
    : world_(world),
      elsewhere_(elsewhere),
      ledger_(elsewhere ? world.other : world.ledger),
      random_(world.random) {
  const auto users = 1 + random_.below(3);
  for (std::int64_t i = 0; i < users; ++i)
    users_.push_back({static_cast<User::Runs>(random_.below(3)),
                      std::string(1, static_cast<char>('a' + i)), std::nullopt, -1, next_keep()});
}

Plan Planner::next_plan() {
  Plan plan;
  auto& user =
      users_[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(users_.size())))];
  plan.elsewhere = elsewhere_;
  identify(plan, user);
  if (!user.request || random_.percent(35)) user.request = next_request(user);
  if (random_.percent(15)) user.keep = next_keep();
  plan.launch.request = *user.request;
  plan.launch.config = random_.percent(5) ? 1 : 0;
  plan.launch.max_iterations = random_.percent(15) ? 10 * random_.below(4) : 1000;
  plan.keep = user.keep;
  plan.launch.keep_best = plan.keep.best;
  plan.interval = random_.percent(50) ? 10 : 5;
  plan.saves = random_.below(4);
  for (std::int64_t i = 0; i < plan.saves; ++i)
    plan.metrics.push_back(next_metrics());
  plan.iterates = !random_.percent(25);
  if (random_.percent(12)) plan.not_finite_from = random_.below(4);
  plan.end = static_cast<End>(random_.below(5));
  plan.exit_code = random_.pick(std::vector<int>{2, 3, 76});
  befall(plan);
  return plan;
}

PrunePlan Planner::next_prune() {
  PrunePlan plan;
  if (random_.percent(70)) plan.prune.keep = next_keep();
  if (plan.prune.keep && random_.percent(60)) plan.prune.keep->last = 1;
  plan.prune.abandoned = !plan.prune.keep || random_.percent(40);
  const auto moment = [&] {
    const bool deleting = random_.percent(70);
    return PruneMoment{deleting, 1 + random_.below(deleting ? 14 : 60)};
  };
  if (random_.percent(25)) plan.crash_at = moment();
  if (random_.percent(20)) plan.fails_at = moment();
  plan.failures = random_.percent(70) ? 1 + random_.below(4) : INT64_MAX;
  if (random_.percent(30)) plan.job_at = moment();
  if (random_.percent(60)) plan.wake_at = moment();
  return plan;
}

Keep Planner::next_keep() {
  Keep keep;
  keep.last = random_.percent(45) ? 1 : 1 + random_.below(3);
  if (random_.percent(25)) keep.every = random_.percent(50) ? 20 : 15;
  if (random_.percent(50))
    keep.best = random_.percent(70) ? KeepBest{"accuracy", true, 1 + random_.below(2)}
                                    : KeepBest{"loss", false, 1 + random_.below(2)};
  return keep;
}

// Few different values, so that some are equal.
std::map<std::string, double> Planner::next_metrics() {
  std::map<std::string, double> metrics;
  for (const auto* name : {"accuracy", "loss"})
    if (random_.percent(85)) metrics[name] = 0.25 * static_cast<double>(random_.below(4));
  return metrics;
}

Moment Planner::some_moment() {
  struct Share {
    Phase phase;
    std::int64_t first;
    std::int64_t last;  // about as many operations as the phase has
    std::int64_t percent;
  };
  static const std::vector<Share> kShares = {
      {Phase::kLook, 1, 40, 6},   {Phase::kClaim, 1, 24, 16},  {Phase::kDecide, 1, 60, 12},
      {Phase::kLoad, 1, 4, 2},    {Phase::kSave, 1, 20, 6},    {Phase::kCommit, 1, 28, 10},
      {Phase::kCommit, 5, 8, 26},  // from the first look at attempts/ to the second
      {Phase::kTidy, 1, 60, 4},   {Phase::kDelete, 1, 12, 14}, {Phase::kOutcome, 1, 5, 4}};
  auto at = random_.below(100);
  auto share = kShares.begin();
  while (at >= share->percent)
    at -= (share++)->percent;
  return {share->phase, share->first + random_.below(share->last - share->first + 1)};
}

void Planner::befall(Plan& plan) {
  if (random_.percent(25)) {
    plan.crash_at = some_moment();
    plan.crash_is_power_cut = random_.percent(25);
  }
  if (random_.percent(14)) {
    Trouble trouble{some_moment(), 1 + random_.below(4), "", random_.percent(30)};
    if (random_.percent(35)) trouble.operations = random_.percent(50) ? 12 : INT64_MAX;
    if (random_.percent(30))
      trouble.path_part = random_.pick(std::vector<std::string>{
          "heartbeat", "manifest.json", "claim.json", "decision.json", "outcome.json", "shard",
          ".trash-", "/checkpoints", "store.json", "/other"});
    if (random_.percent(45))
      trouble.at = {random_.percent(60) ? Phase::kLook : Phase::kDecide, 1 + random_.below(35)};
    plan.trouble = trouble;
  }
  if (world_.sleepers.size() < 2 && random_.percent(28)) {
    plan.sleep_at = some_moment();
    plan.beats_asleep = random_.percent(25);
    plan.crash_is_power_cut = false;
  }
  if (!world_.sleepers.empty() && random_.percent(60))
    for (auto n = random_.below(4); n > 0; --n)
      plan.wakes_at.push_back(1 + random_.below(160));
}

void Planner::identify(Plan& plan, User& user) {
  auto& launch = plan.launch;
  switch (user.runs) {
    case User::Runs::kNamed:
      launch.run = user.name;
      return;
    case User::Runs::kGenerated:
      launch.run = user.name + std::to_string(++generated_);
      plan.run_is_stable = false;
      return;
    case User::Runs::kSlurm:
      // Mostly a requeue; else typed again in the same allocation.
      user.restart_count = random_.percent(85) ? user.restart_count + 1 : random_.below(2);
      launch.run = "slurm-" + user.name;
      launch.job = user.name;
      launch.run_from_slurm = true;
      launch.restart_count = user.restart_count;
  }
}

std::optional<CheckpointId> Planner::some_checkpoint(const Ledger& ledger) {
  const auto& all = ledger.checkpoints;
  std::optional<CheckpointId> found;
  for (int tries = 0; tries < 3 && !all.empty(); ++tries) {
    found = std::next(all.begin(), random_.below(static_cast<std::int64_t>(all.size())))->first;
    if (world_.disk.info(ledger.place_of(*found))) break;
  }
  return found;
}

// New keys of the section are added here and, with their meaning, to the reference.
Request Planner::next_request(const User& user) {
  Request request;
  const auto what = random_.below(100);
  request.present = what >= 8;
  request.once = !random_.percent(8);
  if (what < 8) return Request{};
  if (what < 22) {
    request.mode = RestoreMode::kFresh;
  } else if (what >= 80 && !elsewhere_) {
    from(request);
  } else if (what < 34 && random_.percent(user.keep.best ? 100 : 5)) {
    latest(request);
    request.mode = RestoreMode::kBest;
    request.fresh_if_missing = false;  // a contradiction
  } else if (what < 66 || ledger_.checkpoints.empty()) {
    latest(request);
  } else {
    named(request, ledger_);
  }
  if (request.mode != RestoreMode::kFresh) limit(request);
  return request;
}
// Another store, a copy, or a checkpoint's folder.
void Planner::from(Request& request) {
  const Ledger* ledger = nullptr;
  request.from = next_source(ledger);
  const auto mode = random_.below(10);
  if (mode < 3 && ledger != nullptr && !ledger->checkpoints.empty()) {
    named(request, *ledger);
  } else {
    latest(request);
    if (mode > 7) {
      request.mode = RestoreMode::kBest;
      request.fresh_if_missing = false;
    }
  }
}
// Mostly one that is there. `ledger`: of a store, its own.
std::string Planner::next_source(const Ledger*& ledger) {
  std::vector<const Ledger*> stores;
  for (const auto* store : {&world_.other, &world_.other, &world_.copy, &world_.ledger})
    if (world_.disk.info(store->store) || random_.percent(3)) stores.push_back(store);
  const auto what = random_.below(100);
  if (what < 25 && !world_.loose.empty()) {
    const auto nth = random_.below(static_cast<std::int64_t>(world_.loose.size()));
    return std::next(world_.loose.begin(), nth)->first;
  }
  if (stores.empty()) return kFolder + "/nothing";
  const auto* store = random_.pick(stores);
  const auto id = some_checkpoint(*store);
  if (id && (what > 85 || store == &world_.ledger)) return store->place_of(*id);
  ledger = store;
  return store->store;
}
// What of it is taken.
void Planner::limit(Request& request) {
  request.model_only = random_.percent(15);
  if (random_.percent(10)) request.exclude = {"head.*"};
  if (random_.percent(10)) request.skip_samples = 100;
}
void Planner::latest(Request& request) {
  request.fresh_if_missing = random_.percent(85);
  if (random_.percent(12)) request.max_lost_iterations = 5 * random_.below(5);
  if (random_.percent(8)) request.attempt = 1 + random_.below(6);
}
void Planner::named(Request& request, const Ledger& ledger) {
  request.mode = RestoreMode::kIteration;
  const auto there = some_checkpoint(ledger);
  request.iteration = random_.percent(95) ? there->iteration : 5 * random_.below(8);
  if (random_.percent(50)) request.attempt = there->attempt;
  if (random_.percent(10)) request.max_lost_iterations = 5 * random_.below(5);
}

}  // namespace lockstep::model
