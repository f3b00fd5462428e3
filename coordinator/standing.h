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
std::string origin_text(const AttemptView& attempt);

// When an attempt's configuration saves next; nullopt where its claim or heartbeat can't be read,
// or it has ended.
struct NextSave {
  std::int64_t iteration = 0;
  std::optional<double> minutes;  // or earlier: so long after the save before
};
std::optional<NextSave> next_save(const AttemptView& attempt);
// ", or 10 min after the last"; "" where iterations alone count.
std::string or_earlier_text(const NextSave& next);

// A damaged record of an attempt, by its path in the store.
struct DamagedRecord {
  std::string file;  // "attempts/0003/decision.json"
  std::string why;
};
std::vector<DamagedRecord> damaged_records(const StoreView& store);

}  // namespace lockstep
