#include "tests/model/world.h"

#include "tests/model/sleeper.h"

namespace lockstep::model {

World::World(std::uint64_t seed) : random(seed) {}
World::~World() {
  sleepers.clear();  // they still write to the rest when they are killed
}

void World::check_nothing_lost(const std::string& when) {
  for (auto* store : {&ledger, &other})
    for (auto& [id, known] : store->checkpoints) {
      if (!known.acknowledged || known.may_go || known.harmed) continue;
      if (store->is_whole(disk, id)) continue;
      differs("lost: acknowledged " + lockstep::to_text(id) + " of " + store->store + ", " + when);
      known.harmed = true;  // told once
    }
}

void World::lose_power() {
  for (auto& sleeper : sleepers)
    sleeper->kill();
  sleepers.clear();
  disk.lose_power(random);
  counts.add("power cuts");
  check_nothing_lost("after a power cut");
}

}  // namespace lockstep::model
