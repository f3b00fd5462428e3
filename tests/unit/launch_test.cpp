#include "coordinator/launch.h"

#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/launch_site.h"

namespace lockstep {
namespace {

using lockstep::testing::automatic;
using lockstep::testing::error_of;
using lockstep::testing::facts;
using lockstep::testing::FakeTime;
using lockstep::testing::fresh;
using lockstep::testing::latest;
using lockstep::testing::StoreOnDisk;
using lockstep::testing::try_it;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST(Launch, ATrialWritesNothing) {
  StoreOnDisk disk("launch");
  FakeTime time;
  EXPECT_EQ(try_it(disk, facts(disk, automatic()), time).ruling.record.kind, DecisionKind::kFresh);
  EXPECT_FALSE(fs::exists(disk.path()));
  disk.attempt("a");
  disk.checkpoint({1, 10});
  const auto before = disk.content();
  const auto record = try_it(disk, facts(disk, latest()), time).ruling.record;
  EXPECT_EQ(record.parent->checkpoint, (CheckpointId{1, 10}));
  EXPECT_EQ(record.attempt, 2);
  EXPECT_EQ(disk.content(), before);
  EXPECT_EQ(time.now_s, 0) << "nothing to wait for";
}

TEST(Launch, ClaimsTheNextNumberAndDecidesByWhatIsThereThen) {
  StoreOnDisk disk("launch");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  FakeTime time;
  const auto launch = facts(disk, latest());
  const auto trial = try_it(disk, launch, time);
  disk.checkpoint({1, 20});  // a sleeper's commit between the trial and the claim must be seen
  const auto claimed = claim_next(disk.files(), launch, trial.store,
                                  trial.store.highest_attempt() + 1, StoreOnDisk::claim_of("mine"));
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->attempt, 2);
  const auto decided = decide_claimed(disk.files(), launch, claimed->attempt);
  EXPECT_EQ(decided.ruling.record.parent->checkpoint, (CheckpointId{1, 20}));
  const auto on_disk = scan_store(disk.files(), disk.path());
  ASSERT_TRUE(on_disk.attempt(2)->decision);
  EXPECT_EQ(to_json(*on_disk.attempt(2)->decision), to_json(decided.ruling.record));
}

TEST(Launch, ANumberThatIsTakenMeansLookAgain) {
  StoreOnDisk disk("launch");
  FakeTime time;
  const auto launch = facts(disk, automatic());
  const auto trial = try_it(disk, launch, time);
  disk.attempt("other");
  EXPECT_FALSE(claim_next(disk.files(), launch, trial.store, trial.store.highest_attempt() + 1,
                          StoreOnDisk::claim_of("mine")));
}

TEST(Launch, ANumberWhoseClaimCanNotBeWrittenIsRefusedAndNotWatched) {
  using lockstep::testing::Op;
  const std::vector<std::pair<Op, std::string>> steps = {{Op::kRename, "claim.json"},
                                                         {Op::kOverwrite, "heartbeat"}};
  for (const auto& [op, path] : steps) {
    StoreOnDisk disk("launch");
    lockstep::testing::FaultFileSystem files(disk.files());
    make_store(disk.files(), disk.path());
    files.fail_when(op, path);
    const auto launch = facts(disk, automatic());
    FakeTime time;
    const auto trial = try_it(disk, launch, time);
    EXPECT_THROW(claim_next(files, launch, trial.store, 1, StoreOnDisk::claim_of("mine")), Error);
    const auto after = try_it(disk, launch, time);
    ASSERT_TRUE(after.store.attempt(1)->outcome) << path;
    EXPECT_EQ(after.store.attempt(1)->outcome->outcome, OutcomeKind::kRefused);
    EXPECT_EQ(after.store.attempt(1)->outcome->exit_code, 3);
    EXPECT_EQ(after.ruling.record.attempt, 2);
    EXPECT_EQ(time.now_s, 0) << "nothing to wait for";
  }
}

TEST(Launch, WhateverBearsAnAttemptsNameHasTakenItsNumber) {
  StoreOnDisk disk("launch");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  fs::create_symlink("0001", attempts_path(disk.path()) + "/0002");
  disk.files().overwrite(attempts_path(disk.path()) + "/0003", "a file");
  FakeTime time;
  EXPECT_EQ(try_it(disk, facts(disk, latest()), time).ruling.record.attempt, 4);
  EXPECT_EQ(time.now_s, 0) << "nobody is at work there";
}

TEST(Launch, AHigherNumberAfterTheClaimIsSuperseded) {
  StoreOnDisk disk("launch");
  disk.attempt("mine");
  disk.attempt("other");
  try {
    decide_claimed(disk.files(), facts(disk, fresh()), 1);
    FAIL() << "expected kSuperseded";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kSuperseded);
  }
}

// What an attempt throws where the store that its look saw has changed so.
std::string claimed_after(const std::function<void(StoreOnDisk&)>& happens) {
  StoreOnDisk disk("launch");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  FakeTime time;
  const auto launch = facts(disk, automatic());
  const auto trial = try_it(disk, launch, time);
  EXPECT_EQ(trial.ruling.record.parent->checkpoint, (CheckpointId{1, 10}));
  happens(disk);
  const auto before = disk.content();
  try {
    claim_next(disk.files(), launch, trial.store, 2, StoreOnDisk::claim_of("mine"));
  } catch (const Error& e) {
    EXPECT_EQ(exit_code(e.code()), 3) << e.what();
    EXPECT_EQ(disk.content(), before) << "nothing is made";
    return e.what();
  }
  return "claimed";
}

TEST(Launch, AStoreThatWasSeenIsNeverMadeAnew) {
  EXPECT_THAT(claimed_after([](StoreOnDisk& disk) { fs::remove_all(disk.path()); }),
              HasSubstr("went away since this launch looked at it: its folder is not there"));
  EXPECT_THAT(claimed_after([](StoreOnDisk& disk) {
                fs::remove_all(disk.path());
                fs::create_directory(disk.path());  // where a disk was mounted
              }),
              HasSubstr("store.json is not there"));
  EXPECT_THAT(claimed_after([](StoreOnDisk& disk) {
                fs::remove_all(disk.path());
                make_store(disk.files(), disk.path());
              }),
              HasSubstr("another store is in its place"));
  for (const auto* name : {"/attempts", "/checkpoints"})
    EXPECT_THAT(claimed_after([&](StoreOnDisk& disk) { fs::remove_all(disk.path() + name); }),
                HasSubstr(std::string(name) + " is not there"));
  EXPECT_EQ(claimed_after([](StoreOnDisk&) {}), "claimed");
}

TEST(Launch, AStoreThatGoesAwayWhileItsNewestAttemptIsWatchedIsNoFirstStart) {
  StoreOnDisk disk("launch");
  disk.attempt("mine", {}, std::nullopt);
  disk.checkpoint({1, 10});
  FakeTime time;
  time.meanwhile = [&] { fs::remove_all(disk.path()); };
  EXPECT_THAT(error_of(ErrorCode::kIo, [&] { try_it(disk, facts(disk, automatic()), time); }),
              HasSubstr("went away since this launch looked at it"));
}

TEST(Launch, AnEmptyFolderThatWasSeenIsNotMadeAnewEither) {
  StoreOnDisk disk("launch");
  fs::create_directory(disk.path());
  FakeTime time;
  const auto launch = facts(disk, automatic());
  const auto trial = try_it(disk, launch, time);
  fs::remove(disk.path());
  EXPECT_THROW(claim_next(disk.files(), launch, trial.store, 1, StoreOnDisk::claim_of("mine")),
               Error);
  EXPECT_FALSE(fs::exists(disk.path()));
}

TEST(Launch, TheStoreThatIsClaimedIsTheOneThatIsDecidedOn) {
  for (const bool another : {false, true}) {
    StoreOnDisk disk("launch");
    disk.attempt("a");
    disk.checkpoint({1, 10});
    FakeTime time;
    const auto launch = facts(disk, automatic());
    const auto trial = try_it(disk, launch, time);
    claim_next(disk.files(), launch, trial.store, 2, StoreOnDisk::claim_of("mine"));
    auto decided = decide_claimed(disk.files(), launch, 2, time.clock(), trial.store);
    fs::remove_all(disk.path());
    if (another) make_store(disk.files(), disk.path());
    const auto expect_gone = [](const auto& decide) {
      try {
        decide();
        FAIL() << "expected kIo";
      } catch (const Error& e) {
        EXPECT_EQ(exit_code(e.code()), 3) << e.what();
        EXPECT_THAT(e.what(), HasSubstr("went away since this launch looked at it"));
      }
    };
    expect_gone([&] { decide_claimed(disk.files(), launch, 2, time.clock(), trial.store); });
    expect_gone([&] {
      decide_again(disk.files(), launch, 2, std::move(decided), "shard 0: missing", time.clock());
    });
  }
}

TEST(Launch, TheStoresParentIsNeverMade) {
  StoreOnDisk disk("launch");
  auto launch = facts(disk, fresh());
  launch.store_path = disk.path() + "/a/b";
  try {
    claim_next(disk.files(), launch, {}, 1, StoreOnDisk::claim_of("mine"));
    FAIL() << "expected kNotFound";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(disk.path() + "/a is not there"));
  }
  EXPECT_FALSE(fs::exists(disk.path()));
}

TEST(Launch, DamageFoundByTheLoadLeadsToTheNextCandidateOnDisk) {
  StoreOnDisk disk("launch");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  const auto launch = facts(disk, latest());
  const auto claimed = claim_next(disk.files(), launch, {}, 2, StoreOnDisk::claim_of("mine"));
  auto decided = decide_claimed(disk.files(), launch, claimed->attempt);
  decided =
      decide_again(disk.files(), launch, claimed->attempt, std::move(decided), "shard 1: checksum");
  const auto& record = decided.ruling.record;
  EXPECT_EQ(record.parent->checkpoint, (CheckpointId{1, 10}));
  ASSERT_EQ(record.rejected.size(), 1U);
  EXPECT_EQ(record.rejected[0].why, "shard 1: checksum");
  EXPECT_EQ(scan_store(disk.files(), disk.path()).attempt(2)->decision->parent->checkpoint,
            (CheckpointId{1, 10}));
}

}  // namespace
}  // namespace lockstep
