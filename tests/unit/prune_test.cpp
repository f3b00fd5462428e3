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

TEST(Prune, WhatOthersGoForIsGoodToItsLastByte) {
  StoreOnDisk disk("prune");
  disk.attempt("a");
  for (const auto iteration : {10, 20, 30})
    disk.checkpoint({1, iteration});
  EXPECT_THAT(pruned(disk), ElementsAre(CheckpointId{1, 20}, CheckpointId{1, 10}));
  const auto shard = disk.shard_path({1, 30}, 0);
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(shard));
  std::fstream(shard, std::ios::in | std::ios::out | std::ios::binary).seekp(size - 1).put('!');
  EXPECT_THAT(pruned(disk), ElementsAre(CheckpointId{1, 10})) << "1@20 is the newest good one";
}

}  // namespace
}  // namespace lockstep
