#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/names.h"

namespace lockstep::cli {

// The lineage graph, as `git log --graph` draws one. All: Pure.

enum class Mark : std::uint8_t { kGood, kBad, kOther };

struct GraphNode {
  CheckpointId id;
  std::optional<CheckpointId> previous;  // one of the nodes, where there is one
  Mark mark = Mark::kGood;
};

struct GraphRow {
  std::string picture;
  std::optional<std::size_t> node;  // which; none in a row that only joins lines
};

// `nodes` in falling order: then each stands above the one that it came from.
std::vector<GraphRow> draw_graph(std::span<const GraphNode> nodes, bool unicode);

}  // namespace lockstep::cli
