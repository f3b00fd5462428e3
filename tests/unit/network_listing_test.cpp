#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/launch.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/launch_site.h"

namespace lockstep {
namespace {

using lockstep::testing::beat;
using lockstep::testing::facts;
using lockstep::testing::FakeTime;
using lockstep::testing::FaultFileSystem;
using lockstep::testing::fresh;
using lockstep::testing::latest;
using lockstep::testing::StoreOnDisk;
using lockstep::testing::try_it;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// A network file system whose listings lack a name, of checkpoints/ or of attempts/, until a
// scratch name was made there, or until show().
class StaleFileSystem : public FaultFileSystem {
 public:
  StaleFileSystem(FileSystem& inner, std::string hidden)
      : FaultFileSystem(inner), hidden_(hidden) {}

  bool is_network(const std::string&) const override { return true; }
  void make_folder(const std::string& path) override {
    FaultFileSystem::make_folder(path);
    const bool of_attempts = hidden_.find('-') == hidden_.npos;
    if (path.find(of_attempts ? "/attempts/.scratch-" : "/checkpoints/.scratch-") != path.npos &&
        scratch_helps)
      hidden_.clear();
    ++scratch_names;
  }
  std::vector<Entry> list(const std::string& folder) const override {
    auto entries = FaultFileSystem::list(folder);
    std::erase_if(entries, [&](const Entry& e) { return e.name == hidden_; });
    return entries;
  }
  void show() { hidden_.clear(); }

  bool scratch_helps = true;
  int scratch_names = 0;

 private:
  std::string hidden_;
};

// Attempt 1 has committed 10 and 20, and says so.
void committed_twenty(StoreOnDisk& disk) {
  disk.attempt("a", {}, {});
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  write_outcome(disk.files(), disk.path(), 1, {OutcomeKind::kPreempted, 75, 20, {}, {}});
}

TEST(NetworkListing, AScratchNameMakesTheListingThatDecidesFresh) {
  StoreOnDisk disk("launch");
  committed_twenty(disk);
  StaleFileSystem stale(disk.files(), checkpoint_folder({1, 20}));
  FakeTime time;
  disk.attempt("mine", {}, {});
  const auto decided = decide_claimed(stale, facts(disk, latest()), 2, time.clock());
  EXPECT_EQ(decided.ruling.record.parent->checkpoint, (CheckpointId{1, 20}));
  EXPECT_EQ(time.now_s, 0);
  EXPECT_EQ(stale.scratch_names, 2) << "in attempts/ and in checkpoints/";
}

TEST(NetworkListing, OneThatLacksTheLastCommitIsRepeatedForAMinuteThenItIsDamage) {
  StoreOnDisk disk("launch");
  committed_twenty(disk);
  StaleFileSystem stale(disk.files(), checkpoint_folder({1, 20}));
  stale.scratch_helps = false;
  FakeTime time;
  time.meanwhile = [&] {
    if (time.now_s >= 30) stale.show();
  };
  const auto quiet = [](const std::string&) {};
  auto trial = look_and_try(stale, facts(disk, latest()), time.clock(), {}, quiet);
  EXPECT_EQ(trial.ruling.record.parent->checkpoint, (CheckpointId{1, 20}));
  EXPECT_EQ(time.now_s, 30);
  EXPECT_EQ(stale.scratch_names, 0) << "a trial writes nothing";

  StaleFileSystem lost(disk.files(), checkpoint_folder({1, 20}));
  lost.scratch_helps = false;
  time.meanwhile = [] {};
  trial = look_and_try(lost, facts(disk, latest()), time.clock(), {}, quiet);
  EXPECT_EQ(time.now_s, 90);
  EXPECT_EQ(trial.ruling.record.parent->checkpoint, (CheckpointId{1, 10}));
  EXPECT_THAT(trial.ruling.record.rejected.at(0).why, HasSubstr("gone, though its attempt says"));
}

TEST(NetworkListing, OneThatLacksTheLastCommitIsRepeatedForAnEvaluationAndElsewhereToo) {
  StoreOnDisk disk("launch");
  committed_twenty(disk);
  StoreOnDisk own("launch");
  auto from = latest();
  from.from = disk.path();
  auto warm = facts(own, from);
  warm.from_path = disk.path();
  for (const bool beside : {false, true}) {
    StaleFileSystem stale(disk.files(), checkpoint_folder({1, 20}));
    FakeTime time;
    time.meanwhile = [&] {
      if (time.now_s >= 30) stale.show();
    };
    const auto decided =
        beside ? decide_beside(stale, facts(disk, latest()), time.clock())
               : look_and_try(stale, warm, time.clock(), {}, [](const std::string&) {});
    EXPECT_EQ(decided.ruling.record.parent->checkpoint, (CheckpointId{1, 20})) << beside;
    EXPECT_EQ(time.now_s, 30) << beside;
    EXPECT_EQ(stale.scratch_names, 0) << "it writes nothing";
    decide_beside(stale, facts(disk, latest()), time.clock());
    EXPECT_EQ(time.now_s, 30) << "nothing is missing";
  }
}

// A launch looks while attempt 2 is not yet listed, though it is at work: what happened, in words.
class NumberThatWasTaken : public ::testing::Test {
 protected:
  NumberThatWasTaken() {
    disk.attempt("a");
    disk.attempt("other", {}, std::nullopt);
    time.meanwhile = [&] { beat(disk, 2, ++beats); };
  }
  std::string claim(StaleFileSystem& stale) {
    const auto look = [&] {
      trial = look_and_try(stale, launch, time.clock(), {}, [](const std::string&) {});
      ++looks;
      return trial.store.highest_attempt();
    };
    try {
      for (auto number = look() + 1;;) {
        if (claim_next(stale, launch, trial.store, number, StoreOnDisk::claim_of("mine")))
          return "claimed " + std::to_string(number);
        number = number_after(stale, launch, number, time.clock(), look);
      }
    } catch (const Error& e) {
      return e.what();
    }
  }

  StoreOnDisk disk{"launch"};
  FakeTime time;
  LaunchFacts launch = facts(disk, fresh());
  Decided trial;
  std::int64_t beats = 0;
  int looks = 0;
};

TEST_F(NumberThatWasTaken, IsLookedAtByAFreshListingBeforeTheNextIsClaimed) {
  StaleFileSystem stale(disk.files(), "0002");
  EXPECT_THAT(claim(stale), HasSubstr("in use: attempt 2 is at work"));
  EXPECT_EQ(looks, 1) << "the second one ends it";
}

TEST_F(NumberThatWasTaken, IsNotPassedOverBeforeAListingShowsIt) {
  StaleFileSystem stale(disk.files(), "0002");
  stale.scratch_helps = false;
  time.meanwhile = [&] {
    beat(disk, 2, ++beats);
    if (time.now_s >= 5) stale.show();
  };
  EXPECT_THAT(claim(stale), HasSubstr("in use: attempt 2 is at work"));

  StaleFileSystem always(disk.files(), "0002");
  always.scratch_helps = false;
  time.meanwhile = [] {};
  const auto end = claim(always);
  EXPECT_THAT(end, HasSubstr("attempts does not list it: its file system is behind"));
  EXPECT_FALSE(disk.files().info(attempt_path(disk.path(), 3)));
}

TEST_F(NumberThatWasTaken, IsSkippedWhereItIsNotThere) {
  class SentTwice : public StaleFileSystem {
   public:
    using StaleFileSystem::StaleFileSystem;
    bool claim_folder(const std::string& path) override {
      return !path.ends_with("0002") && StaleFileSystem::claim_folder(path);
    }
  } stale(disk.files(), "");
  fs::remove_all(attempt_path(disk.path(), 2));
  time.meanwhile = [] {};
  EXPECT_EQ(claim(stale), "claimed 3");
  EXPECT_EQ(time.now_s, 0);
}

TEST(Launch, ALastCommitThatIsGoneIsDamageAtOnceOnALocalFileSystem) {
  StoreOnDisk disk("launch");
  committed_twenty(disk);
  fs::remove_all(checkpoint_path(disk.path(), {1, 20}));
  FakeTime time;
  auto request = latest();
  request.max_lost_iterations = 5;
  EXPECT_EQ(try_it(disk, facts(disk, request), time).ruling.record.exit_code, 2);
  request.max_lost_iterations = 10;
  EXPECT_EQ(try_it(disk, facts(disk, request), time).ruling.record.parent->checkpoint,
            (CheckpointId{1, 10}));
  EXPECT_EQ(time.now_s, 0);
  // It may have committed since its record was read, and deleted what was its last then.
  disk.checkpoint({1, 30});
  request.max_lost_iterations = 0;
  auto onward = try_it(disk, facts(disk, request), time).ruling.record;
  EXPECT_EQ(onward.parent->checkpoint, (CheckpointId{1, 30}));
  EXPECT_TRUE(onward.rejected.empty());
  const auto seen = scan_store(disk.files(), disk.path());
  EXPECT_EQ(seen.checkpoint({1, 20}), nullptr) << "deleted, not lost";
  fs::remove_all(checkpoint_path(disk.path(), {1, 30}));
  // What an earlier attempt committed last may have been deleted by a later one.
  disk.attempt("b", CheckpointId{1, 10});
  disk.checkpoint({2, 15});
  const auto record = try_it(disk, facts(disk, latest()), time).ruling.record;
  EXPECT_EQ(record.parent->checkpoint, (CheckpointId{2, 15}));
  EXPECT_TRUE(record.rejected.empty());
}

}  // namespace
}  // namespace lockstep
