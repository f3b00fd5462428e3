#include <gtest/gtest.h>

#include "coordinator/cli/graph.h"

namespace lockstep::cli {
namespace {

std::string drawn(const std::vector<GraphNode>& nodes, bool unicode = false) {
  std::string text;
  for (const auto& row : draw_graph(nodes, unicode))
    text += row.picture + (row.node ? " " + to_text(nodes[*row.node].id) : "") + "\n";
  return text;
}

TEST(Graph, ALineageIsOneLine) {
  EXPECT_EQ(drawn({{{2, 30}, CheckpointId{1, 20}, Mark::kGood},
                   {{1, 20}, CheckpointId{1, 10}, Mark::kBad},
                   {{1, 10}, {}, Mark::kGood}}),
            "* 2@30\n"
            "x 1@20\n"
            "* 1@10\n");
}

TEST(Graph, AForkJoinsWhereItCameFrom) {
  EXPECT_EQ(drawn({{{2, 30}, CheckpointId{1, 20}, Mark::kGood},
                   {{1, 30}, CheckpointId{1, 20}, Mark::kOther},
                   {{1, 20}, {}, Mark::kGood}}),
            "* 2@30\n"
            "| o 1@30\n"
            "|/\n"
            "* 1@20\n");
}

// 4 from 1@20 and 3 from 2@20, 2 from 1@10.
const std::vector<GraphNode> kThreeLines = {{{4, 30}, CheckpointId{1, 20}, Mark::kGood},
                                            {{3, 30}, CheckpointId{2, 20}, Mark::kOther},
                                            {{2, 30}, CheckpointId{2, 20}, Mark::kOther},
                                            {{2, 20}, CheckpointId{1, 10}, Mark::kOther},
                                            {{1, 30}, CheckpointId{1, 20}, Mark::kOther},
                                            {{1, 20}, CheckpointId{1, 10}, Mark::kGood},
                                            {{1, 10}, {}, Mark::kGood}};

TEST(Graph, ALineThatCrossesAnotherIsSeen) {
  EXPECT_EQ(drawn(kThreeLines),
            "* 4@30\n"
            "| o 3@30\n"
            "| | o 2@30\n"
            "| |/\n"
            "| o 2@20\n"
            "| | o 1@30\n"
            "|_|/\n"
            "* | 1@20\n"
            "|/\n"
            "* 1@10\n");
  EXPECT_EQ(drawn(kThreeLines, true),
            "● 4@30\n"
            "│ ○ 3@30\n"
            "│ │ ○ 2@30\n"
            "│ ├─╯\n"
            "│ ○ 2@20\n"
            "│ │ ○ 1@30\n"
            "├─┼─╯\n"
            "● │ 1@20\n"
            "├─╯\n"
            "● 1@10\n");
}

TEST(Graph, SeveralForksOfOneCheckpointJoinOneByOne) {
  EXPECT_EQ(drawn({{{3, 20}, CheckpointId{1, 10}, Mark::kGood},
                   {{2, 20}, CheckpointId{1, 10}, Mark::kOther},
                   {{1, 20}, CheckpointId{1, 10}, Mark::kOther},
                   {{1, 10}, {}, Mark::kGood}}),
            "* 3@20\n"
            "| o 2@20\n"
            "| | o 1@20\n"
            "|/  |\n"
            "|__/\n"
            "* 1@10\n");
}

TEST(Graph, WhatStandsBelowAFreshStartDoesNotLookLikeItsPast) {
  EXPECT_EQ(drawn({{{3, 10}, {}, Mark::kGood},
                   {{2, 10}, {}, Mark::kOther},
                   {{1, 20}, CheckpointId{1, 10}, Mark::kOther},
                   {{1, 10}, {}, Mark::kOther}}),
            "* 3@10\n"
            "  o 2@10\n"
            "o 1@20\n"
            "o 1@10\n");
}

}  // namespace
}  // namespace lockstep::cli
