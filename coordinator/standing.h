#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/liveness.h"
#include "coordinator/store_view.h"

namespace lockstep {

// What checkpoints and attempts are to users: the words of `lockstep ls`. All: Pure.

// abandoned: sound and finite, but not in the lineage that `latest` would take.
enum class Standing : std::uint8_t { kGood, kDamaged, kNotFinite, kAbandoned };
std::string to_text(Standing standing);  // "not finite"

Standing standing_of(const Examined& found, bool in_newest_lineage);
// Whether `latest` could reach and load it.
bool is_eligible(Standing standing);

// "finished"; without an outcome: "running", "crashed", or where this host can't tell "running or
// crashed".
std::string outcome_text(const AttemptView& attempt, LocalSight sight);

// Where an attempt started: "3@1200", "3@1200 of store ID", "weights of FILE"; "-" is anew, "?" not
// known.
std::string origin_text(const StoreView& store, const AttemptView& attempt);

// The next iteration at which an attempt's configuration saves; nullopt where its claim or
// heartbeat can't be read, or it has ended.
std::optional<std::int64_t> next_save(const AttemptView& attempt);

// A damaged record of an attempt, by its path in the store.
struct DamagedRecord {
  std::string file;  // "attempts/0003/decision.json"
  std::string why;
};
std::vector<DamagedRecord> damaged_records(const StoreView& store);

}  // namespace lockstep
