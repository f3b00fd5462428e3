#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/manifest.h"

namespace lockstep {

// Bytes of a shard's data section and where they go.
struct ReadRange {
  std::uint64_t from = 0;  // from the start of the shard's data section
  std::uint64_t to = 0;    // of all that is read, end to end
  std::uint64_t bytes = 0;

  friend bool operator==(const ReadRange&, const ReadRange&) = default;
};

struct ShardReads {
  std::int64_t shard = 0;         // index in the manifest
  std::vector<ReadRange> ranges;  // ascending in `from`, none overlaps; adjacent ones are merged

  friend bool operator==(const ShardReads&, const ShardReads&) = default;
};

struct ReadPlan {
  std::vector<ShardReads> shards;  // ascending; only those that hold something that is wanted
  std::uint64_t bytes = 0;         // of all that is read
};

// Pure: where pieces of a checkpoint's tensors lie. They are looked up by name: the checkpoint's
// flat order, sections and number of shards may be others than today's. The manifest must outlive
// it.
class ReadPlanner {
 public:
  explicit ReadPlanner(const Manifest& manifest);

  // The pieces are read end to end in the order given. Error(kMismatch) on a piece that the
  // checkpoint does not have.
  ReadPlan plan(std::span<const Piece> wanted) const;

 private:
  // Where a tensor of the checkpoint begins in its section.
  struct Place {
    const TensorInfo* tensor = nullptr;
    std::size_t section = 0;
    std::int64_t first = 0;
  };
  const Place& place_of(const Piece& piece) const;
  std::uint64_t section_begin(std::size_t section, std::int64_t shard) const;

  const Manifest& manifest_;
  std::int64_t shards_;
  std::unordered_map<std::string_view, Place> places_;
  std::vector<std::uint64_t> widths_;  // bytes of an element, of each section
};

// Pure: the plan for one set of pieces.
ReadPlan plan_reads(const Manifest& manifest, std::span<const Piece> wanted);

}  // namespace lockstep
