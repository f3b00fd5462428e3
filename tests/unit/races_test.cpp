// What others do to a store between two operations of a launch: an attempt that was taken for dead
// and is awake again, another first launch, a power cut.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/catalog.h"
#include "coordinator/launch.h"
#include "coordinator/retention.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/store_builder.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using lockstep::testing::automatic;
using lockstep::testing::error_of;
using lockstep::testing::FaultFileSystem;
using lockstep::testing::iteration;
using lockstep::testing::latest;
using lockstep::testing::launch_of;
using lockstep::testing::MemoryFileSystem;
using lockstep::testing::Op;
using lockstep::testing::Random;
using lockstep::testing::StoreOnDisk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Right before the first operation on a path that ends so, something happens.
class Meanwhile : public FaultFileSystem {
 public:
  Meanwhile(StoreOnDisk& disk, std::string before, std::function<void()> happens)
      : FaultFileSystem(disk.files()), before_(std::move(before)), happens_(std::move(happens)) {}
  ~Meanwhile() override { EXPECT_TRUE(happened_) << before_; }

  std::optional<FileInfo> info(const std::string& path) const override {
    return note(path), FaultFileSystem::info(path);
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    return note(path), FaultFileSystem::open(path);
  }
  void rename(const std::string& from, const std::string& to) override {
    note(to), FaultFileSystem::rename(from, to);
  }

 private:
  void note(const std::string& path) const {
    if (happened_ || !path.ends_with(before_)) return;
    happened_ = true;
    happens_();
  }

  std::string before_;
  std::function<void()> happens_;
  mutable bool happened_ = false;
};

LaunchFacts facts(const std::string& store, const Request& request) {
  auto launch = launch_of(request, "mine");
  launch.store_path = store;
  return launch;
}

LaunchFacts facts_from(const std::string& source, const std::string& store) {
  auto request = latest();
  request.from = source;
  auto launch = facts(store, request);
  launch.from_path = source;
  return launch;
}

std::string trial(const FileSystem& files, const LaunchFacts& launch) {
  const auto record =
      look_and_try(files, launch, {[] { return 0.0; }, [](double) {}}, {}, [](auto&) {
      }).ruling.record;
  return record.parent ? to_text(record.parent->checkpoint)
                       : record.error.value_or(to_text(record.kind));
}

std::vector<std::string> seen(StoreOnDisk& disk) {
  std::vector<std::string> found;
  for (const auto& checkpoint : scan_store(disk.files(), disk.path()).checkpoints)
    found.push_back(to_text(checkpoint.id));
  return found;
}

TEST(Races, AStoreThatIsMadeWhileItIsScannedIsWhole) {
  StoreOnDisk disk("races");
  std::filesystem::create_directory(disk.path());
  const Meanwhile files(disk, "/attempts", [&] { disk.attempt("other"); });
  EXPECT_EQ(trial(files, facts(disk.path(), automatic())), "fresh");
}

TEST(Races, ACommitThatARecordNamesIsSeenToo) {
  StoreOnDisk disk("races");
  disk.attempt("mine", {}, std::nullopt);
  disk.files().overwrite(attempt_path(disk.path(), 1) + "/heartbeat", encode(Heartbeat{}));
  const Meanwhile files(disk, "/0001/heartbeat", [&] {
    disk.checkpoint({1, 10});
    disk.files().overwrite(attempt_path(disk.path(), 1) + "/heartbeat",
                           encode(Heartbeat{2, 10, 10}));
  });
  EXPECT_EQ(trial(files, facts(disk.path(), latest())), "1@10");
}

// A colleague's job puts 1@20 back, which it had in trash, while another job restores from there.
TEST(Races, WhatComesBackToItsPlaceInAnotherStoreIsNotDamaged) {
  StoreOnDisk other("races");
  other.attempt("theirs", {}, std::nullopt);
  other.checkpoint({1, 10});
  other.checkpoint({1, 20});
  other.checkpoint({1, 30}, 2, false);
  const auto place = checkpoint_path(other.path(), {1, 20});
  const auto trash = checkpoints_path(other.path()) + "/" +
                     trash_folder({1, std::string(16, 'a'), {1, 20}, false});
  other.files().rename(place, trash);
  const auto launch = facts_from(other.path(), other.path() + "-mine");
  const Meanwhile files(other, "/0001-0000000030/manifest.json",
                        [&] { other.files().rename(trash, place); });
  EXPECT_EQ(trial(files, launch), "1@20");
}

TEST(Races, ACheckpointsFolderThatIsDeletedMeanwhileIsNotThere) {
  StoreOnDisk other("races");
  other.attempt("theirs");
  other.checkpoint({1, 10});
  const auto launch = facts_from(checkpoint_path(other.path(), {1, 10}), other.path() + "-mine");
  const Meanwhile files(other, "/0001-0000000010/shard-00001-of-00002.safetensors", [&] {
    delete_checkpoint(other.files(), other.path(), 1, {1, 10});
  });
  try {
    trial(files, launch);
    FAIL() << "it was deleted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kNotFound) << e.what();
  }
}

// restore.from names the own store, which another job makes between the scan and the look at it.
TEST(Races, TheOwnStoreThatIsMadeMeanwhileIsSeenWithItsCheckpoints) {
  StoreOnDisk disk("races");
  std::filesystem::create_directory(disk.path());
  auto launch = facts_from(disk.path(), disk.path());
  launch.request.fresh_if_missing = true;
  const Meanwhile files(disk, "/checkpoints/store.json", [&] {
    disk.attempt("other");
    disk.checkpoint({1, 10});
  });
  EXPECT_EQ(trial(files, launch), "1@10");
}

TEST(Races, TheOwnStoreThatIsMadeMeanwhileIsNotMissing) {
  StoreOnDisk disk("races");
  auto launch = facts_from(disk.path(), disk.path());
  launch.request.fresh_if_missing = true;
  launch.run.restart_count = 1;
  const auto parent = std::filesystem::path(disk.path()).parent_path().string();
  const Meanwhile files(disk, parent, [&] { disk.attempt("other"); });
  EXPECT_EQ(trial(files, launch), "fresh");
}

TEST(Races, AnOwnCheckpointThatIsCommittedMeanwhileIsNoCopy) {
  StoreOnDisk disk("races");
  disk.attempt("other");
  disk.checkpoint({1, 10});
  const auto launch = facts_from(checkpoint_path(disk.path(), {1, 20}), disk.path());
  const Meanwhile files(disk, "/0001-0000000020", [&] { disk.checkpoint({1, 20}); });
  EXPECT_EQ(trial(files, launch), "1@20");
}

// The scan is of before attempt 3, the look at 1@10 of after it.
TEST(Races, WhoTakesOverAndDeletesWhatIsRestoredFromSupersedes) {
  StoreOnDisk disk("races");
  disk.attempt("other");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  disk.attempt("mine", {}, std::nullopt);
  const auto launch = facts_from(checkpoint_path(disk.path(), {1, 10}), disk.path());
  Meanwhile files(disk, "/0001-0000000010", [&] {
    disk.attempt("other", {}, std::nullopt);
    delete_checkpoint(disk.files(), disk.path(), 3, {1, 10});
  });
  error_of(ErrorCode::kSuperseded, [&] { decide_claimed(files, launch, 2); });
}

TEST(Races, ADecisionThatIsMadeMeanwhileIsSeenWithItsCheckpoints) {
  StoreOnDisk disk("races");
  disk.attempt("mine");
  disk.checkpoint({1, 10});
  auto claim = StoreOnDisk::claim_of("mine");
  claim.request = canonical_json(latest());
  const auto launch = facts(disk.path(), latest());
  claim_next(disk.files(), launch, {}, 2, claim);
  const Meanwhile files(disk, "/checkpoints", [&] {
    decide_claimed(disk.files(), launch, 2);
    disk.checkpoint({2, 20});
    delete_checkpoint(disk.files(), disk.path(), 2, {1, 10});
  });
  const auto view = scan_store(files, disk.path());
  ASSERT_NE(view.attempt(2), nullptr);
  EXPECT_TRUE(view.attempt(2)->decision);
}

TEST(Races, WhatIsDeletedWhileItIsOpenedIsNotDamaged) {
  StoreOnDisk disk("races");
  disk.attempt("other");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  const Meanwhile files(disk, "/0001-0000000020/manifest.json", [&] {
    disk.checkpoint({1, 30});
    delete_checkpoint(disk.files(), disk.path(), 1, {1, 20});
  });
  EXPECT_EQ(trial(files, facts(disk.path(), latest())), "1@30");
}

// Attempt 1 has put 1@10 into trash and is taken for dead; attempt 2 is about to bring it back.
class Trash : public ::testing::Test {
 protected:
  Trash() {
    disk.attempt("other", {}, std::nullopt);
    disk.checkpoint({1, 10});
    disk.checkpoint({1, 20});
    disk.files().rename(place, trash);
    disk.attempt("mine", {}, std::nullopt);
  }
  std::string decided(FileSystem& files) {
    const auto launch = facts(disk.path(), latest());
    return to_text(decide_claimed(files, launch, 2).ruling.record.parent->checkpoint);
  }

  StoreOnDisk disk{"races"};
  const std::string place = checkpoint_path(disk.path(), {1, 10});
  const std::string trash =
      checkpoints_path(disk.path()) + "/" + trash_folder({1, "0123456789abcdef", {1, 10}, false});
};

TEST_F(Trash, IsBroughtBack) {
  EXPECT_EQ(decided(disk.files()), "1@20");
  EXPECT_THAT(seen(disk), ElementsAre("1@10", "1@20"));
}

TEST_F(Trash, MayBePutBackByItsDeleterMeanwhile) {
  Meanwhile files(disk, "/0001-0000000010", [&] { disk.files().rename(trash, place); });
  EXPECT_EQ(decided(files), "1@20");
  EXPECT_THAT(seen(disk), ElementsAre("1@10", "1@20"));
}

TEST_F(Trash, MayBeUnlinkedByItsDeleterMeanwhile) {
  Meanwhile files(disk, "/0001-0000000010", [&] { disk.files().unlink(trash + "/manifest.json"); });
  EXPECT_EQ(decided(files), "1@20");
  EXPECT_THAT(seen(disk), ElementsAre("1@20")) << "never a checkpoint without its manifest";
}

TEST(Races, ALoadThatMissesWhatIsInTrashProvesNoDamage) {
  StoreOnDisk disk("races");
  disk.attempt("other", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  disk.attempt("mine", {}, std::nullopt);
  const auto launch = facts(disk.path(), latest());
  auto decided = decide_claimed(disk.files(), launch, 2);
  disk.files().rename(
      checkpoint_path(disk.path(), {1, 20}),
      checkpoints_path(disk.path()) + "/" + trash_folder({1, "0123456789abcdef", {1, 20}, false}));
  decided = decide_again(disk.files(), launch, 2, std::move(decided), "shard 0: missing");
  EXPECT_EQ(to_text(decided.ruling.record.parent->checkpoint), "1@20");
  decided = decide_again(disk.files(), launch, 2, std::move(decided), "shard 0: checksum");
  EXPECT_EQ(to_text(decided.ruling.record.parent->checkpoint), "1@10");
}

// A sleeper had it in trash for a moment, and rank 1 opened its shard just then.
TEST(Races, ALoadThatMissesWhatIsBackInItsPlaceProvesNoDamage) {
  for (const bool in_source : {false, true}) {
    StoreOnDisk disk("races");
    disk.attempt("other", {}, std::nullopt);
    disk.checkpoint({1, 10});
    disk.checkpoint({1, 20});
    StoreOnDisk elsewhere("races");
    auto& own = in_source ? elsewhere : disk;
    const auto number = own.attempt("mine", {}, std::nullopt);
    const auto launch =
        in_source ? facts_from(disk.path(), own.path()) : facts(own.path(), latest());
    auto decided = decide_claimed(own.files(), launch, number);
    const auto after = [&](const std::string& why) {
      decided = decide_again(own.files(), launch, number, std::move(decided), why);
      return to_text(decided.ruling.record.parent->checkpoint);
    };
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(after("shard 1: missing"), "1@20") << in_source << i;
    EXPECT_EQ(after("shard 1: missing"), "1@10") << "a rank may see less than rank 0, for ever";
  }
}

TEST(Races, ALoadThatMissesWhatIsMissingHasProvenDamage) {
  StoreOnDisk disk("races");
  disk.attempt("other");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});
  disk.attempt("mine", {}, std::nullopt);
  auto decided = decide_claimed(disk.files(), facts(disk.path(), latest()), 2);
  std::filesystem::remove(disk.shard_path({1, 20}, 1));
  decided = decide_again(disk.files(), facts(disk.path(), latest()), 2, std::move(decided),
                         "shard 1: missing");
  EXPECT_EQ(to_text(decided.ruling.record.parent->checkpoint), "1@10");
}

TEST(Races, ANamedCheckpointThatWasInTrashForAMomentIsNoError) {
  StoreOnDisk disk("races");
  disk.attempt("other");
  disk.checkpoint({1, 20});
  disk.attempt("mine", {}, std::nullopt);
  const auto launch = facts(disk.path(), iteration(20));
  auto decided = decide_claimed(disk.files(), launch, 2);
  decided = decide_again(disk.files(), launch, 2, std::move(decided), "shard 1: missing");
  EXPECT_EQ(decided.ruling.record.kind, DecisionKind::kRestore);
}

TEST(Races, ASweptPartialNeverCounts) {
  StoreOnDisk disk("races");
  disk.attempt("dead", {}, std::nullopt);
  begin_commit(disk.files(), disk.path(), {1, 10});
  const auto text = encode_manifest(disk.write_shards({1, 10}, 1));
  write_durably(disk.files(), partial_path(disk.path(), {1, 10}) + "/manifest.json", text);
  disk.attempt("mine", {}, std::nullopt);
  FaultFileSystem files(disk.files());
  files.fail_next(Op::kUnlink);
  EXPECT_THROW(sweep_partials(files, disk.path(), 2), Error);
  EXPECT_THAT(seen(disk), IsEmpty());
  disk.attempt("next", {}, std::nullopt);
  sweep_partials(disk.files(), disk.path(), 3);
  EXPECT_THAT(disk.files().list(checkpoints_path(disk.path())), IsEmpty());
}

TEST(Races, APartialMayBeCommittedByItsOwnerWhileItIsSwept) {
  StoreOnDisk disk("races");
  disk.attempt("asleep", {}, std::nullopt);
  begin_commit(disk.files(), disk.path(), {1, 10});
  disk.attempt("mine", {}, std::nullopt);
  class Owner : public FaultFileSystem {
   public:
    using FaultFileSystem::FaultFileSystem;
    void rename(const std::string& from, const std::string& to) override {
      FaultFileSystem::rename(from, from + ".elsewhere");
      FaultFileSystem::rename(from, to);
    }
  } files(disk.files());
  EXPECT_NO_THROW(sweep_partials(files, disk.path(), 2));
}

TEST(Races, WhatIsPutBackIsDurableBeforeTheOutcome) {
  StoreOnDisk disk("races");
  disk.attempt("asleep", {}, std::nullopt);
  disk.checkpoint({1, 10});
  disk.attempt("mine");
  FaultFileSystem files(disk.files());
  EXPECT_THROW(delete_checkpoint(files, disk.path(), 1, {1, 10}), Error);
  EXPECT_EQ(files.calls(Op::kRename), 2);
  EXPECT_EQ(files.calls(Op::kSyncFolder), 1);
  EXPECT_THAT(seen(disk), ElementsAre("1@10"));
}

TEST(Races, AClaimIsDurableInAStoreThatSomebodyElseHasJustMade) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    MemoryFileSystem files("/f");
    files.make_folder("/f/store");  // and was killed before its fsync
    claim_next(files, facts("/f/store", latest()), {}, 1, StoreOnDisk::claim_of("mine"));
    Random random(seed);
    files.lose_power(random);
    EXPECT_TRUE(files.bytes("/f/store/attempts/0001/claim.json")) << seed;
  }
}

}  // namespace
}  // namespace lockstep
