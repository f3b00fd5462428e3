#include "tests/model/pruner.h"

#include <utility>

#include "coordinator/catalog.h"
#include "tests/model/sleeper.h"

namespace lockstep::model {

Pruner::Pruner(World& world, PrunePlan plan, const Steps& steps, std::function<void()> launch)
    : world_(world),
      plan_(std::move(plan)),
      steps_(steps),
      launch_(std::move(launch)),
      files_(world.disk, [this](const Operation& operation) { before(operation); }),
      undisturbed_(world.wakes) {}

void Pruner::run() {
  world_.counts.add("prunes");
  try {
    prune();
  } catch (const Crash&) {
    crashed_ = true;
    give_up_renamed();
    world_.counts.add("prunes that were killed");
    world_.tell("  prune is killed");
  }
}

void Pruner::before(const Operation& operation) {
  if (crashed_) throw Crash{};
  ++world_.now;
  if (!now_.deleting && !operation.from.empty()) now_ = {true, 0};  // the first rename into trash
  if (operation.path.find("/.trash-") != std::string::npos && !operation.from.empty())
    renaming_ = operation.from;
  ++now_.operation;
  if (now_ == plan_.crash_at) throw Crash{};
  if (now_ == plan_.wake_at) meanwhile();
  if (now_ == plan_.job_at) begin_job();
  if (now_ == plan_.fails_at) in_trouble_ = plan_.failures;
  if (in_trouble_ == 0) return;
  --in_trouble_;
  failed_ = true;
  world_.counts.add("operations of a prune that failed");
  throw Error(ErrorCode::kIo, "planted: " + operation.path);
}

// Killed, or cut off for good, behind its rename: a job that began before could not be seen any
// more.
void Pruner::give_up_renamed() {
  for (const auto& id : chosen_)
    if (world_.ledger.place_of(id) == renaming_) world_.ledger.checkpoints.at(id).may_go = true;
}

void Pruner::begin_job() {
  const auto power_cuts = world_.counts.of["power cuts"];
  ++world_.wakes;
  world_.counts.add("jobs that began in a prune");
  launch_();
  if (world_.counts.of["power cuts"] != power_cuts) throw Crash{};  // with all others
}

void Pruner::meanwhile() {
  if (world_.sleepers.empty()) return;
  auto& sleeper = *world_.sleepers[static_cast<std::size_t>(
      world_.random.below(static_cast<std::int64_t>(world_.sleepers.size())))];
  if (sleeper.ended()) return;
  ++world_.wakes;
  world_.tell("  in the prune attempt " + std::to_string(sleeper.job().attempt()) + " runs:");
  sleeper.wake(world_.random.percent(40) ? INT64_MAX : 1 + world_.random.below(20));
  // Prune has no number of its own: an attempt that it took for dead, and that wakes, is not fenced
  // from, whatever it counts on.
  if (sleeper.job().attempt() == world_.ledger.highest_on(world_.disk))
    for (const auto& id : chosen_)
      world_.ledger.checkpoints.at(id).may_go = true;
}

Clock Pruner::clock() {
  return {[this] { return world_.seconds; },
          [this](double seconds) {
            world_.seconds += seconds;
            for (const auto& sleeper : world_.sleepers)
              if (sleeper->job().plan().beats_asleep) sleeper->beat();
            if (world_.random.percent(10)) meanwhile();
          }};
}

Pruned Pruner::expected_now() const {
  return to_prune(with_missing_commit(world_.ledger.facts(world_.disk)), plan_.prune,
                  world_.ledger.pins);
}

std::optional<ErrorCode> Pruner::beside_a_live_one() const {
  std::int64_t newest = 0;
  for (const auto& [number, attempt] : world_.ledger.facts(world_.disk).attempts)
    if (!attempt.refused) newest = number;
  const auto folder = world_.ledger.attempt_path_of(newest);
  const bool ended = world_.disk.info(folder + "/outcome.json").has_value();
  for (const auto& sleeper : world_.sleepers) {
    const auto& job = sleeper->job();
    if (&job.ledger() == &world_.ledger && job.attempt() == newest && !sleeper->ended() && !ended &&
        job.plan().beats_asleep && world_.disk.bytes(folder + "/heartbeat") != nullptr)
      return ErrorCode::kInUse;
  }
  return std::nullopt;
}

void Pruner::prune() {
  auto expected = expected_now();
  if (const auto code = beside_a_live_one()) expected = {{}, *code};
  const auto& wanted = plan_.prune;
  PruneRequest request{std::nullopt, wanted.abandoned};
  if (wanted.keep) {
    auto& rule = request.rule.emplace();
    rule.keep_last = wanted.keep->last;
    rule.keep_every = wanted.keep->every;
    rule.keep_best = wanted.keep->best;
  }
  const auto& store = world_.ledger.store;
  try {
    auto view = look_when_idle(files_, store, clock(), [](const std::string&) {});
    const auto chosen = steps_.prune(files_, store, view, request);
    compare(chosen, expected);
    delete_pruned(files_, store, view, chosen, [&](const Deletion& deletion) {
      world_.counts.add("pruned");
      world_.tell("  pruned " + lockstep::to_text(deletion.checkpoint));
    });
    if (undisturbed_ != world_.wakes || failed_) return;
    for (const auto& one : chosen)
      if (!world_.ledger.folder_of(world_.disk, one.checkpoint).empty())
        world_.differs("prune left " + lockstep::to_text(one.checkpoint));
  } catch (const Error& e) {
    world_.tell(std::string("  prune: ") + e.what());
    world_.counts.add("prunes refused");
    const bool out_of_reach = failed_ && e.code() == ErrorCode::kIo;
    if (out_of_reach) give_up_renamed();
    if (undisturbed_ == world_.wakes && e.code() != expected.code && !out_of_reach)
      world_.differs(std::string("prune: ") + e.what());
  }
}

void Pruner::compare(const std::vector<Deletion>& chosen, const Pruned& expected) {
  for (const auto& one : chosen)
    chosen_.insert(one.checkpoint);
  // What it saw before others ran says nothing about now; but what it deletes is held against this.
  const bool same = expected.code == ErrorCode::kOk && chosen_ == expected.ids;
  if (undisturbed_ == world_.wakes && !same)
    world_.differs("prune chose other checkpoints than its rule says");
  for (const auto& id : expected_now().ids)
    if (const auto it = world_.ledger.checkpoints.find(id); it != world_.ledger.checkpoints.end())
      it->second.may_go = true;
}

}  // namespace lockstep::model
