#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/catalog.h"
#include "coordinator/cli/listing.h"
#include "coordinator/cli/store_reading.h"
#include "tests/support/expect_error.h"
#include "tests/support/store_on_disk.h"

namespace lockstep::cli {
namespace {

using lockstep::testing::error_of;
using lockstep::testing::StoreOnDisk;
using ::testing::HasSubstr;

class NamedCheckpoint : public ::testing::Test {
 protected:
  NamedCheckpoint() {
    disk.attempt("a");
    commit_with(10, {{"loss", 0.5}});
    commit_with(20, {{"loss", 0.2}});
    commit_with(30, {{"loss", 0.4}});
  }
  void commit_with(std::int64_t iteration, const std::map<std::string, double>& metrics) {
    begin_commit(disk.files(), disk.path(), {1, iteration});
    auto manifest = disk.write_shards({1, iteration}, 2);
    manifest.metrics = metrics;
    commit(disk.files(), disk.path(), manifest);
  }
  void configure(const std::string& config) {
    auto claim = *scan_store(disk.files(), disk.path()).attempts.at(0).claim;
    claim.config = config;
    write_durably(disk.files(), attempt_path(disk.path(), 1) + "/claim.json", encode(claim));
  }
  std::string named(const std::string& text) {
    auto store = open_store(disk.files(), disk.path());
    return to_text(resolve(disk.files(), store, text));
  }
  std::string mistake(const std::string& text) {
    return error_of(ErrorCode::kInvalidConfig, [&] { named(text); });
  }

  StoreOnDisk disk{"named"};
};

TEST_F(NamedCheckpoint, IsTheLatestOrAnIterationOrFullyNamed) {
  EXPECT_EQ(named("latest"), "1@30");
  EXPECT_EQ(named("20"), "1@20");
  EXPECT_EQ(named("1@10"), "1@10");
  EXPECT_THAT(mistake("25"), HasSubstr("1@30, 1@20 and 1@10"));
  EXPECT_THAT(mistake("2@10"), HasSubstr("1@30, 1@20 and 1@10"));
  for (const char* text : {"", "latest@", "020", "-1", "1@", "1@10 ", "+20"})
    EXPECT_THAT(mistake(text), HasSubstr("names no checkpoint")) << text;
}

TEST_F(NamedCheckpoint, BestGoesByTheNewestAttemptsConfiguration) {
  EXPECT_THAT(mistake("best"), HasSubstr("keep_best"));
  configure(R"({"checkpoint":{"keep_best":{"count":1,"metric":"loss","mode":"min"}}})");
  EXPECT_EQ(named("best"), "1@20");
  EXPECT_EQ(list_store(disk.files(), disk.path(), false).best, (CheckpointId{1, 20}));
  configure(R"({"checkpoint":{"keep_best":{"count":1,"metric":"loss","mode":"max"}}})");
  EXPECT_EQ(named("best"), "1@10");
  std::filesystem::remove(disk.shard_path({1, 10}, 0));
  EXPECT_EQ(named("best"), "1@30") << "a damaged one is not the best";
  configure(R"({"checkpoint":{"keep_best":{"count":1,"metric":"accuracy","mode":"max"}}})");
  EXPECT_THAT(mistake("best"), HasSubstr("accuracy"));
}

TEST_F(NamedCheckpoint, AFolderThatIsNoStoreIsAMistake) {
  EXPECT_THAT(error_of(ErrorCode::kInvalidConfig,
                       [&] { open_store(disk.files(), disk.path() + "/absent"); }),
              HasSubstr("no store at"));
}

}  // namespace
}  // namespace lockstep::cli
