#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "coordinator/cli/line_format.h"
#include "coordinator/cli/store_reading.h"
#include "coordinator/standing.h"

namespace lockstep::cli {

// What `ls` shows: a store, its newest lineage or all of it, examined as far as it is shown.
struct Listing {
  std::string path;
  StoreView store;
  std::set<CheckpointId> newest;    // the newest lineage
  std::vector<CheckpointId> shown;  // falling
  std::set<CheckpointId> pins;
  std::optional<CheckpointId> best;
  bool all = false;
};

// Local. Error(kIo) where a checkpoint can't be read now.
Listing list_store(const FileSystem& files, const std::string& given, bool all);

// Pure: `checkpoint` must have been examined.
Standing standing_of(const Listing& listing, const CheckpointView& checkpoint);

// Pure: the attempts of what is shown, and the newest; all where all is shown.
std::vector<const AttemptView*> attempts_shown(const Listing& listing);

// Pure: the object that `ls --json` prints.
std::string listing_json(const Listing& listing);

// Pure: what `ls --format` may name, the fields of a checkpoint in that object.
// Error(kInvalidConfig) of parse_line_format.
std::vector<LinePart> parse_listing_format(const std::string& format);

// Local: a metric that the format names and that no checkpoint of the whole store has, though some
// have metrics, is most likely misspelt: Error(kInvalidConfig) that names those there are. The
// other checkpoints' manifests are read only where none of the shown ones has it.
void require_metrics(const FileSystem& files, Listing& listing, std::span<const LinePart> parts);

// Pure: what it prints, a line for each checkpoint.
std::string listing_lines(const Listing& listing, std::span<const LinePart> parts);

}  // namespace lockstep::cli
