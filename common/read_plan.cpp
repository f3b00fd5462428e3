#include "common/read_plan.h"

#include <algorithm>
#include <map>

#include "common/error.h"
#include "common/partition.h"

namespace lockstep {

namespace {

void sort_and_merge(std::vector<ReadRange>& ranges) {
  std::ranges::sort(ranges, {}, &ReadRange::from);
  std::vector<ReadRange> merged;
  for (const auto& range : ranges) {
    if (!merged.empty() && merged.back().from + merged.back().bytes == range.from &&
        merged.back().to + merged.back().bytes == range.to) {
      merged.back().bytes += range.bytes;
    } else {
      merged.push_back(range);
    }
  }
  ranges = std::move(merged);
}

}  // namespace

ReadPlanner::ReadPlanner(const Manifest& manifest)
    : manifest_(manifest), shards_(static_cast<std::int64_t>(manifest.shards.size())) {
  auto tensor = manifest.tensors.begin();
  for (std::size_t s = 0; s < manifest.partition.size(); ++s) {
    const auto& section = manifest.partition[s];
    widths_.push_back(section.tensors == 0 ? 1 : bytes_of(tensor->dtype));
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < section.tensors; ++i, ++tensor) {
      places_[tensor->name] = {&*tensor, s, first};
      first += elements(*tensor);
    }
  }
}

const ReadPlanner::Place& ReadPlanner::place_of(const Piece& piece) const {
  const auto found = places_.find(piece.name);
  if (found == places_.end() || found->second.tensor->dtype != piece.dtype ||
      piece.first + piece.count > elements(*found->second.tensor))
    throw Error(ErrorCode::kMismatch,
                to_text(manifest_.checkpoint) + " has no such piece of " + piece.name);
  return found->second;
}

std::uint64_t ReadPlanner::section_begin(std::size_t section, std::int64_t shard) const {
  std::uint64_t bytes = 0;
  for (std::size_t s = 0; s < section; ++s) {
    const auto part = part_of(manifest_.partition[s].elements, {shard, shards_});
    bytes += static_cast<std::uint64_t>(part.count) * widths_[s];
  }
  return bytes;
}

ReadPlan ReadPlanner::plan(std::span<const Piece> wanted) const {
  std::map<std::int64_t, std::vector<ReadRange>> by_shard;
  ReadPlan plan;
  for (const auto& piece : wanted) {
    const auto& place = place_of(piece);
    const auto total = manifest_.partition[place.section].elements;
    const auto width = widths_[place.section];
    const auto end = place.first + piece.first + piece.count;
    for (auto at = place.first + piece.first; at < end;) {
      const auto shard = part_holding(total, shards_, at);
      const auto part = part_of(total, {shard, shards_});
      const auto from =
          section_begin(place.section, shard) + static_cast<std::uint64_t>(at - part.first) * width;
      const auto bytes = static_cast<std::uint64_t>(std::min(end, part.end()) - at) * width;
      by_shard[shard].push_back({from, plan.bytes, bytes});
      plan.bytes += bytes;
      at = std::min(end, part.end());
    }
  }
  for (auto& [shard, ranges] : by_shard) {
    sort_and_merge(ranges);
    plan.shards.push_back({shard, std::move(ranges)});
  }
  return plan;
}

ReadPlan plan_reads(const Manifest& manifest, std::span<const Piece> wanted) {
  return ReadPlanner(manifest).plan(wanted);
}

}  // namespace lockstep
