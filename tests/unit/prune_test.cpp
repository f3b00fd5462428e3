#include "coordinator/prune.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/catalog.h"
#include "coordinator/pins.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::StoreOnDisk;

std::vector<CheckpointId> pruned(StoreOnDisk& disk) {
  auto view = scan_store(disk.files(), disk.path());
  PruneRequest request;
  request.rule.emplace().keep_last = 1;
  std::vector<CheckpointId> ids;
  for (const auto& one : look_at_pruned(disk.files(), disk.path(), view, request))
    ids.push_back(one.checkpoint);
  return ids;
}

void flip_last_byte(const std::string& path) {
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path));
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(size - 1).put('!');
}

TEST(Prune, WhatOthersGoForIsGoodToItsLastByte) {
  StoreOnDisk disk("prune");
  disk.attempt("a");
  for (const auto iteration : {10, 20, 30})
    disk.checkpoint({1, iteration});
  EXPECT_THAT(pruned(disk), ElementsAre(CheckpointId{1, 20}, CheckpointId{1, 10}));
  flip_last_byte(disk.shard_path({1, 30}, 0));
  EXPECT_THAT(pruned(disk), ElementsAre(CheckpointId{1, 10})) << "1@20 is the newest good one";
}

// A scan opens checkpoints for their manifests where a decision is lost: that proves no byte of
// their data.
TEST(Prune, AlsoWhereItsAttemptsDecisionIsLost) {
  StoreOnDisk disk("prune-lost");
  disk.attempt("a");
  for (const auto iteration : {10, 20})
    disk.checkpoint({1, iteration});
  disk.attempt("a", CheckpointId{1, 20});
  disk.checkpoint({2, 30});
  std::filesystem::remove(attempt_path(disk.path(), 2) + "/decision.json");
  EXPECT_THAT(pruned(disk), ElementsAre(CheckpointId{1, 20}, CheckpointId{1, 10}));
  flip_last_byte(disk.shard_path({2, 30}, 0));
  EXPECT_THAT(pruned(disk), ElementsAre(CheckpointId{1, 10})) << "1@20 is the newest good one";
}

}  // namespace
}  // namespace lockstep
