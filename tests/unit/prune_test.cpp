#include "coordinator/prune.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/catalog.h"
#include "coordinator/pins.h"
#include "tests/support/expect_error.h"
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

// 1@20 is abandoned, and good; attempt 2's lineage is 1@10 and 2@30.
TEST(Prune, WhatIsAbandonedStaysWhereNothingElseIsGood) {
  StoreOnDisk disk("prune-abandoned");
  disk.attempt("a");
  for (const auto iteration : {10, 20})
    disk.checkpoint({1, iteration});
  disk.attempt("a", CheckpointId{1, 10});
  disk.checkpoint({2, 30});
  const auto abandoned = [&] {
    auto view = scan_store(disk.files(), disk.path());
    return look_at_pruned(disk.files(), disk.path(), view, {std::nullopt, true, {}});
  };
  flip_last_byte(disk.shard_path({2, 30}, 0));
  ASSERT_EQ(abandoned().size(), 1U) << "1@10 is good";
  flip_last_byte(disk.shard_path({1, 10}, 0));
  EXPECT_THAT(testing::error_of(ErrorCode::kInvalidConfig, [&] { abandoned(); }),
              ::testing::HasSubstr("attempt 2's lineage holds no good checkpoint"));
  pin(disk.files(), disk.path(), {1, 20});
  EXPECT_TRUE(abandoned().empty()) << "nothing would go";
}

}  // namespace
}  // namespace lockstep
