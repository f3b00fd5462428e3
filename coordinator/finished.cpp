#include "coordinator/finished.h"

#include <cstdint>

#include "common/names.h"

namespace lockstep {

namespace {

// Samples since the start of the data order: what is behind the first iteration to come, and how
// many are a pass.
struct Place {
  std::int64_t restored = 0;
  std::int64_t skipped = 0;
  std::int64_t length = 0;  // 0: not known
};

Place place_of(const LaunchFacts& launch, const Ruling& ruling, const Manifest* manifest) {
  Place place;
  place.skipped = ruling.skip_samples;
  if (manifest != nullptr && ruling.record.parent) place.restored = manifest->data.position;
  // Whose weights are taken from another store may have been trained on other data.
  const bool is_own = ruling.record.parent || (ruling.chosen && !ruling.chosen->in_source);
  if (launch.data)
    place.length = launch.data->length;
  else if (manifest != nullptr && is_own)
    place.length = manifest->data.length;
  return place;
}

// Whether so many samples, and more, are so many passes. The sum may be beyond the numbers.
bool completes(std::int64_t epochs, std::int64_t samples, std::int64_t more, std::int64_t length) {
  if (epochs == 0) return true;
  std::int64_t all = 0;
  if (__builtin_add_overflow(samples, more, &all)) all = INT64_MAX;
  return length > 0 && all / length >= epochs;
}

// "run.max_epochs 3", and whether that is only because samples are passed over.
struct Limit {
  std::string name;
  bool by_skipping = false;
};

std::optional<Limit> reached_limit(const LaunchFacts& launch, const Ruling& ruling,
                                   const Manifest* manifest) {
  const auto& parent = ruling.record.parent;
  const auto iteration = parent ? parent->checkpoint.iteration : 0;
  if (launch.max_iterations && iteration >= *launch.max_iterations)
    return Limit{"run.max_iterations " + std::to_string(*launch.max_iterations)};
  if (!launch.max_epochs) return std::nullopt;
  const auto place = place_of(launch, ruling, manifest);
  const auto name = "run.max_epochs " + std::to_string(*launch.max_epochs);
  if (completes(*launch.max_epochs, place.restored, 0, place.length)) return Limit{name};
  if (completes(*launch.max_epochs, place.restored, place.skipped, place.length))
    return Limit{name, true};
  return std::nullopt;
}

}  // namespace

std::optional<std::string> nothing_to_train(const LaunchFacts& launch, const Ruling& ruling,
                                            const Manifest* manifest) {
  const auto limit = reached_limit(launch, ruling, manifest);
  if (!limit) return std::nullopt;
  const auto& parent = ruling.record.parent;
  const auto start = parent ? to_text(parent->checkpoint) : "iteration 0";
  if (limit->by_skipping)
    return start + ", with restore.skip_samples " + std::to_string(ruling.skip_samples) +
           " passed over, has reached " + limit->name + ": nothing to train; pass over fewer";
  const bool from_elsewhere = parent && ruling.chosen && ruling.chosen->in_source;
  return start + " has reached " + limit->name + ": nothing to train" +
         (from_elsewhere ? "; to train anew from its weights add scope: model" : "");
}

}  // namespace lockstep
