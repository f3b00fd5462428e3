#include "tests/model/history.h"

#include <algorithm>

#include "tests/model/elsewhere.h"
#include "tests/model/planner.h"
#include "tests/model/pruner.h"
#include "tests/model/random_bytes.h"
#include "tests/model/sleeper.h"

namespace lockstep::model {

namespace {

class History {
 public:
  History(std::uint64_t seed, const Steps& steps)
      : world_(seed),
        random_(world_.random),
        planner_(world_, false),
        colleague_(world_, true),
        steps_(steps) {
    seed_random_bytes(seed);
    if (random_.percent(10)) world_.disk.make_folder(world_.ledger.store);
  }

  Report run() {
    if (random_.percent(35))
      for (auto n = 1 + random_.below(2); n > 0 && world_.differences.empty(); --n)
        launch(colleague_.next_plan());
    const auto events = 3 + random_.below(7);
    for (std::int64_t i = 0; i < events && world_.differences.empty(); ++i)
      event();
    ++world_.wakes;
    for (auto& sleeper : world_.sleepers)
      if (random_.percent(75)) sleeper->wake(INT64_MAX);
    world_.sleepers.clear();  // the others never wake
    world_.check_nothing_lost("at the end");
    if (world_.differences.empty()) last_launch();
    return {world_.differences, world_.story, world_.counts};
  }

 private:
  void event() {
    const auto what = random_.below(100);
    if (what < 56) {
      const auto plan = planner_.next_plan();
      launch(plan);
      if (plan.launch.request.from == world_.other.store && random_.percent(25)) replace_other();
    } else if (what < 64) {
      launch(colleague_.next_plan());
    } else if (what < 68) {
      copy_something();
    } else if (what < 71) {
      remove_some(world_);
    } else if (what < 78) {
      harm_checkpoint();
    } else if (what < 81) {
      harm_record();
    } else if (what < 83) {
      pin();
    } else if (what < 89) {
      prune();
    } else if (what < 91) {
      world_.tell("power cut");
      world_.lose_power();
    } else if (!world_.sleepers.empty()) {
      wake(*random_.pick(pointers()));
    }
    world_.check_nothing_lost("after event " + std::to_string(world_.story.size()));
  }

  void launch(const Plan& plan) {
    world_.counts.add("launches");
    tell(plan);
    if (plan.sleep_at) {
      auto sleeper = std::make_unique<Sleeper>(world_, plan, steps_);
      if (!sleeper->ended()) world_.sleepers.push_back(std::move(sleeper));
      return;
    }
    Job job(world_, plan, steps_);
    job.run();
    if (job.crashed() && plan.crash_is_power_cut) world_.lose_power();
  }

  void prune() {
    if (!world_.disk.info(world_.ledger.store)) return world_.tell("nothing to prune");
    const auto plan = planner_.next_prune();
    world_.tell("prune: keeps " + (plan.prune.keep ? to_text(*plan.prune.keep) : "the lineage") +
                (plan.prune.abandoned ? ", nothing that is abandoned" : ""));
    Pruner pruner(world_, plan, steps_, [&] { launch(planner_.next_plan()); });
    pruner.run();
    if (pruner.crashed() && random_.percent(25)) world_.lose_power();
  }

  // Everybody may ask for the newest: it is what the reference says, and it loads.
  void last_launch() {
    Plan plan;
    plan.launch.run = "last";
    plan.launch.request.present = true;
    plan.launch.max_iterations = INT64_MAX;
    plan.saves = 1;
    plan.metrics.resize(1);
    launch(plan);
  }

  static std::string to_text(const Keep& keep) {
    auto text = std::to_string(keep.last);
    if (keep.every) text += ", each " + std::to_string(*keep.every);
    if (keep.best)
      text += ", " + std::to_string(keep.best->count) + " by " +
              (keep.best->maximize ? "most " : "least ") + keep.best->metric;
    return text;
  }

  void tell(const Plan& plan) {
    world_.tell(std::string(plan.elsewhere ? "a colleague's " : "") + "launch: run " +
                plan.launch.run + " restart " + std::to_string(plan.launch.restart_count) + " " +
                canonical_json(plan.launch.request) + " to " +
                std::to_string(plan.launch.max_iterations) + ", saves " +
                std::to_string(plan.saves) + " every " + std::to_string(plan.interval) +
                ", keeps " + to_text(plan.keep));
  }

  // Another store in its place, with the same names.
  void replace_other() {
    remove_elsewhere(world_, world_.other.store);
    launch(colleague_.next_plan());
  }

  void copy_something() {
    if (random_.percent(40)) return copy_store(world_);
    const auto& ledger = some_ledger();
    const auto id = planner_.some_checkpoint(ledger);
    if (!id) return world_.tell("nothing to copy");
    copy_loose(world_, ledger, *id);
  }

  Ledger& some_ledger() {
    return *random_.pick(std::vector<Ledger*>{&world_.ledger, &world_.ledger, &world_.ledger,
                                              &world_.other, &world_.copy});
  }

  void harm_checkpoint() {
    if (!world_.loose.empty() && random_.percent(10)) {
      auto& [path, loose] = *world_.loose.begin();
      return harm_one(path, loose.known);
    }
    auto& ledger = some_ledger();
    const auto id = planner_.some_checkpoint(ledger);
    const auto folder = id ? ledger.folder_of(world_.disk, *id) : "";
    if (folder.empty()) return world_.tell("nothing to harm");
    harm_one(folder, ledger.checkpoints.at(*id));
  }

  void harm_one(const std::string& folder, KnownCheckpoint& known) {
    const bool manifest = random_.percent(40);
    const auto path =
        folder + "/" + (manifest ? known.files.begin()->first : known.files.rbegin()->first);
    if (world_.disk.bytes(path) == nullptr) return world_.tell("nothing to harm");
    known.harmed = true;
    world_.counts.add("damage planted in a checkpoint");
    world_.tell("harm " + path);
    harm(path);
  }

  void harm(const std::string& path) {
    auto bytes = *world_.disk.bytes(path);
    const auto size = static_cast<std::int64_t>(bytes.size());
    switch (size > 0 ? random_.below(4) : 0) {
      case 0:
        world_.disk.unlink(path);
        return world_.disk.sync_folder(path.substr(0, path.rfind('/')));
      case 1:
        bytes.resize(static_cast<std::size_t>(random_.below(size)));
        break;
      case 2:
        bytes[static_cast<std::size_t>(random_.below(size))] ^= 1;
        break;
      default:
        bytes.back() ^= 1;  // the data of a shard, which only a load reads
    }
    world_.disk.harm(path, bytes);
  }

  // A record of an attempt that will write no more.
  void harm_record() {
    auto& ledger = random_.percent(80) ? world_.ledger : world_.other;
    const auto highest = ledger.highest_on(world_.disk);
    if (highest == 0) return world_.tell("no record to harm");
    const auto attempt = 1 + random_.below(highest);
    const auto name = random_.pick(
        std::vector<std::string>{"claim.json", "decision.json", "outcome.json", "heartbeat"});
    const auto path = ledger.attempt_path_of(attempt) + "/" + name;
    const bool asleep =
        std::any_of(world_.sleepers.begin(), world_.sleepers.end(), [&](const auto& sleeper) {
          const auto& job = sleeper->job();
          return &job.ledger() == &ledger && (job.attempt() == attempt || job.attempt() == 0);
        });
    const bool again = ledger.attempts.at(attempt).harmed.contains(name);
    if (asleep || again || world_.disk.bytes(path) == nullptr)
      return world_.tell("no record to harm");
    world_.counts.add("damage planted in a record");
    world_.tell("harm " + path);
    auto bytes = *world_.disk.bytes(path);
    bytes[0] ^= 1;
    world_.disk.harm(path, bytes);
    ledger.attempts.at(attempt).harmed.insert(name);
  }

  void pin() {
    const auto id = planner_.some_checkpoint();
    if (!id) return world_.tell("nothing to pin");
    world_.disk.make_folder(world_.ledger.store + "/pins");
    const auto path = world_.ledger.store + "/pins/" + lockstep::to_text(*id);
    if (!world_.disk.info(path)) write_durably(world_.disk, path, "");
    world_.disk.sync_folder(world_.ledger.store);
    world_.ledger.pins.insert(*id);
    world_.tell("pin " + lockstep::to_text(*id));
  }

  std::vector<Sleeper*> pointers() {
    std::vector<Sleeper*> all;
    for (const auto& sleeper : world_.sleepers)
      all.push_back(sleeper.get());
    return all;
  }
  void wake(Sleeper& sleeper) {
    world_.tell("attempt " + std::to_string(sleeper.job().attempt()) + " wakes");
    ++world_.wakes;
    world_.counts.add("wakes");
    sleeper.wake(random_.percent(60) ? INT64_MAX : 1 + random_.below(30));
    std::erase_if(world_.sleepers, [](const auto& s) { return s->ended(); });
  }

  World world_;
  Random& random_;
  Planner planner_;
  Planner colleague_;
  const Steps& steps_;
};

}  // namespace

Report run_history(std::uint64_t seed, const Steps& steps) {
  return History(seed, steps).run();
}

}  // namespace lockstep::model
