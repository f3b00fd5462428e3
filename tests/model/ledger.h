#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/attempt_records.h"
#include "tests/model/reference.h"
#include "tests/support/memory_file_system.h"

namespace lockstep::model {

using lockstep::testing::MemoryFileSystem;

inline const std::string kFolder = "/s";

// What was written, as the test knows it, not as lockstep reads it back; only whether it is there
// is asked of the disk, by paths that are built here a second time.
struct KnownAttempt {
  Launch launch;
  bool acknowledged = false;             // the claim has returned: the number is taken for ever
  std::optional<std::uint64_t> scanned;  // when its scan began by which it decided
  std::optional<Outcome> outcome;        // as it was about to be written
  std::set<std::string> harmed;          // its records that were damaged
};

struct KnownCheckpoint {
  Start start;  // of its attempt
  bool finite = true;
  std::map<std::string, double> metrics;
  std::map<std::string, std::string> files;  // as committed
  std::string digest;                        // of its manifest
  std::uint64_t visible = 0;                 // when it was renamed to its name
  bool acknowledged = false;
  bool may_go = false;  // retention's rule gave it up, and no later attempt counts on it
  bool harmed = false;  // damage was planted
};

// Bytes of a shard's data section; what lies before is the header.
constexpr std::size_t kShardDataBytes = 8;

class Ledger {
 public:
  explicit Ledger(std::string path) : store(std::move(path)) {}

  std::string store;  // its folder
  std::map<std::int64_t, KnownAttempt> attempts;
  std::map<CheckpointId, KnownCheckpoint> checkpoints;
  std::set<CheckpointId> pins;

  // What a scan that reads headers must see now. `without`: the attempt that asks.
  Facts facts(const MemoryFileSystem& disk, std::optional<std::int64_t> without = {}) const;

  // What is found of a checkpoint whose files lie in `folder`.
  static CheckpointFact fact_at(const MemoryFileSystem& disk, const std::string& folder,
                                const KnownCheckpoint& known);
  std::optional<std::string> id_on(const MemoryFileSystem& disk) const;  // store.json's

  // Where the files of a checkpoint lie, in its place or in trash that counts; "" where nowhere.
  std::string folder_of(const MemoryFileSystem& disk, const CheckpointId& id) const;
  // Whether every byte is there as committed.
  bool is_whole(const MemoryFileSystem& disk, const CheckpointId& id) const;
  static bool is_whole_in(const MemoryFileSystem& disk, const std::string& folder,
                          const KnownCheckpoint& known);
  // Non-finite ones in which damage was planted.
  std::set<CheckpointId> harmed_not_finite() const;
  // Those that lie in their place.
  std::set<CheckpointId> present(const MemoryFileSystem& disk) const;
  std::int64_t highest_on(const MemoryFileSystem& disk) const;

  std::string attempt_path_of(std::int64_t attempt) const;
  std::string place_of(const CheckpointId& id) const;
  std::string partial_of(const CheckpointId& id) const;

 private:
  AttemptFact fact_of(const MemoryFileSystem& disk, std::int64_t number,
                      const KnownAttempt& known) const;
};

}  // namespace lockstep::model
