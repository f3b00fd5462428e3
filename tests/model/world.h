#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/model/ledger.h"
#include "tests/support/random.h"

namespace lockstep::model {

using lockstep::testing::Random;

class Sleeper;

// What was done, so that a run can say what its zeroes stand for.
struct Counts {
  std::map<std::string, std::int64_t> of;
  void add(const std::string& what, std::int64_t n = 1) { of[what] += n; }
  void add(const Counts& other) {
    for (const auto& [what, n] : other.of)
      of[what] += n;
  }
};

// A checkpoint's folder that was copied out of its store.
struct Loose {
  CheckpointId id;
  KnownCheckpoint known;
};

// All that the jobs of one history share. Only one of them runs at a time.
struct World {
  explicit World(std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Random random;
  MemoryFileSystem disk{kFolder};
  Ledger ledger{kFolder + "/store"};
  Ledger other{kFolder + "/other"};    // a colleague's, with jobs of its own
  Ledger copy{kFolder + "/copy"};      // of the store, as it was at some time
  std::map<std::string, Loose> loose;  // by path
  std::uint64_t now = 0;               // operations so far
  double seconds = 0;                  // pass only where somebody waits
  std::uint64_t wakes = 0;             // how often a sleeper ran for a while
  std::vector<std::unique_ptr<Sleeper>> sleepers;
  std::vector<std::string> differences;
  std::vector<std::string> story;  // for whoever looks into a difference
  Counts counts;

  void differs(const std::string& what) { differences.push_back(what); }
  void tell(const std::string& what) { story.push_back(what); }

  // No acknowledged checkpoint may be lost but by retention's rule or planted damage.
  void check_nothing_lost(const std::string& when);
  // The power fails: what is not durable may be lost, and nobody survives.
  void lose_power();
};

}  // namespace lockstep::model
