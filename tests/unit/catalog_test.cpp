#include "coordinator/catalog.h"

#include <filesystem>
#include <fstream>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/lineage.h"
#include "coordinator/run_identity.h"
#include "tests/support/expect_error.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using lockstep::testing::Fault;
using lockstep::testing::FaultFileSystem;
using lockstep::testing::Op;
using lockstep::testing::StoreOnDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

std::vector<std::string> names(const StoreView& view) {
  std::vector<std::string> found;
  for (const auto& checkpoint : view.checkpoints)
    found.push_back(to_text(checkpoint.id));
  return found;
}

Examined examine_one(StoreOnDisk& disk, const CheckpointId& id, Depth depth = Depth::kBytes) {
  const auto view = scan_store(disk.files(), disk.path());
  return examine(disk.files(), disk.path(), *view.checkpoint(id), depth);
}

void overwrite_byte(const std::string& path, std::int64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  if (at < 0) at += static_cast<std::int64_t>(fs::file_size(path));
  file.seekg(at);
  const auto byte = static_cast<char>(file.get() ^ 4);
  file.seekp(at);
  file.put(byte);
}

TEST(ScanStore, AFolderThatIsNotThereIsAStoreThatDoesNotExist) {
  StoreOnDisk disk("scan");
  EXPECT_FALSE(scan_store(disk.files(), disk.path()).exists);
}

TEST(ScanStore, AnEmptyFolderIsAFirstStart) {
  StoreOnDisk disk("scan");
  fs::create_directory(disk.path());
  const auto view = scan_store(disk.files(), disk.path());
  EXPECT_TRUE(view.exists);
  EXPECT_FALSE(view.id);
}

TEST(ScanStore, FindsAttemptsAndCheckpointsInOrder) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 9});
  disk.attempt("b", CheckpointId{1, 9});
  disk.checkpoint({2, 12});
  const auto view = scan_store(disk.files(), disk.path());
  EXPECT_THAT(names(view), ElementsAre("1@9", "1@10", "2@12"));
  EXPECT_EQ(view.attempts.size(), 2U);
  EXPECT_EQ(lineage(view, 2), (std::vector<CheckpointId>{{2, 12}, {1, 9}}));
}

TEST(ScanStore, ForeignNamesAreIgnored) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  for (const char* name :
       {"old-0001-0000000020", "0001-20", "0001-0000000020.tmp", "latest", "1@30"})
    fs::create_directory(fs::path(disk.path()) / "checkpoints" / name);
  for (const char* name : {"3", "00003", "x", "+003"})
    fs::create_directory(fs::path(disk.path()) / "attempts" / name);
  std::ofstream(fs::path(disk.path()) / "checkpoints" / "0001-0000000050") << "a file, no folder";
  const auto view = scan_store(disk.files(), disk.path());
  EXPECT_THAT(names(view), ElementsAre("1@10"));
  EXPECT_EQ(view.highest_attempt(), 1);
}

TEST(ScanStore, APartialIsNoCheckpointButItsNumberIsTaken) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  begin_commit(disk.files(), disk.path(), {7, 10});
  const auto view = scan_store(disk.files(), disk.path());
  EXPECT_TRUE(view.checkpoints.empty());
  EXPECT_EQ(view.highest_attempt(), 7);
}

TEST(ScanStore, WithoutStoreJsonBesideAttemptsItIsNoStoreAndStaysSo) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  fs::remove(store_file(disk.path()));
  try {
    scan_store(disk.files(), disk.path());
    FAIL() << "expected kMismatch";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kMismatch);
    EXPECT_THAT(e.what(), HasSubstr("store.json"));
  }
  EXPECT_FALSE(fs::exists(store_file(disk.path())));
}

void expect_mismatch(StoreOnDisk& disk, const std::string& fact) {
  try {
    scan_store(disk.files(), disk.path());
    FAIL() << "expected kMismatch: " << fact;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kMismatch);
    EXPECT_THAT(e.what(), HasSubstr(fact));
  }
}

TEST(ScanStore, AStoreWithinAStoreIsAnError) {
  StoreOnDisk disk("within");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  for (const std::string inner : {"/checkpoints", "/checkpoints/0001-0000000010", "/pins/new",
                                  "/checkpoints/new", "/attempts/0001"})
    EXPECT_THAT(testing::error_of(ErrorCode::kMismatch,
                                  [&] { scan_store(disk.files(), disk.path() + inner); }),
                HasSubstr("lies within the store " + disk.path() + "; did you mean that one?"))
        << inner;
  EXPECT_FALSE(scan_store(disk.files(), disk.path() + "/mine").exists) << "a user's own folder";
}

TEST(ScanStore, CheckpointsThatAreGoneOrBehindALinkNeverLookLikeAFirstStart) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  fs::rename(checkpoints_path(disk.path()), disk.path() + "/../moved");
  expect_mismatch(disk, "no checkpoints/");
  fs::create_symlink("../moved", checkpoints_path(disk.path()));
  expect_mismatch(disk, "is no folder");
  fs::remove(checkpoints_path(disk.path()));
  disk.files().overwrite(checkpoints_path(disk.path()), "");
  expect_mismatch(disk, "is no folder");
}

TEST(ScanStore, AnotherStoresIdIsAnError) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  StoreOnDisk other("scan");
  other.attempt("b");
  fs::copy_file(store_file(other.path()), store_file(disk.path()),
                fs::copy_options::overwrite_existing);
  expect_mismatch(disk, "different stores");
}

TEST(ScanStore, TheLastNumberThereIsIsForeign) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  fs::create_directory(attempts_path(disk.path()) + "/9223372036854775807");
  expect_mismatch(disk, "9223372036854775807");
}

TEST(ScanStore, ADamagedStoreJsonIsAnErrorAtEveryLength) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  const auto text = read_small_file(disk.files(), store_file(disk.path()));
  for (std::size_t length = 0; length + 1 < text.size(); ++length) {
    std::ofstream(store_file(disk.path()), std::ios::trunc) << text.substr(0, length);
    EXPECT_THROW(scan_store(disk.files(), disk.path()), Error) << length;
  }
}

TEST(ScanStore, DamagedRecordsAreNamedAndTheParentComesFromTheManifests) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  disk.checkpoint({1, 10});
  disk.attempt("b", CheckpointId{1, 10});
  disk.checkpoint({2, 20});
  overwrite_byte(attempt_path(disk.path(), 2) + "/decision.json", 20);
  overwrite_byte(attempt_path(disk.path(), 2) + "/claim.json", 20);
  const auto view = scan_store(disk.files(), disk.path());
  const auto& attempt = *view.attempt(2);
  EXPECT_FALSE(attempt.claim);
  EXPECT_FALSE(attempt.decision);
  ASSERT_EQ(attempt.damage.size(), 2U);
  EXPECT_THAT(attempt.damage[0], HasSubstr("claim.json"));
  EXPECT_EQ(parent_of(attempt), (CheckpointId{1, 10}));
  EXPECT_FALSE(parent_unknown(attempt));
  EXPECT_FALSE(view.checkpoint({2, 20})->examined) << "as deeply as it is asked for, later";
}

TEST(ScanStore, ARecordThatMustHaveBeenIsDamagedWhereItIsGone) {
  StoreOnDisk disk("scan");
  disk.attempt("a", {}, OutcomeKind::kPreempted);  // 1: says that it trained
  disk.attempt("a", {}, std::nullopt);             // 2: has committed
  disk.checkpoint({2, 10});
  disk.attempt("a", {}, OutcomeKind::kRefused);  // 3 and 4: may have had none
  disk.attempt("a", {}, std::nullopt);
  for (const auto number : {1, 2, 3, 4})
    fs::remove(attempt_path(disk.path(), number) + "/decision.json");
  fs::create_directory(attempt_path(disk.path(), 2) + "/decision.json");
  fs::remove(attempt_path(disk.path(), 2) + "/claim.json");
  const auto view = scan_store(disk.files(), disk.path());
  EXPECT_THAT(view.attempt(1)->damage, ElementsAre(HasSubstr("decision.json: missing")));
  EXPECT_THAT(view.attempt(2)->damage,
              ElementsAre(HasSubstr("claim.json: missing"), HasSubstr("decision.json: missing")));
  EXPECT_THAT(view.attempt(3)->damage, IsEmpty());
  EXPECT_THAT(view.attempt(4)->damage, IsEmpty());
}

TEST(ScanStore, ManyAttemptsAreReadByThreadsInOrder) {
  StoreOnDisk disk("scan");
  for (int i = 1; i <= 60; ++i)
    disk.attempt("run" + std::to_string(i));
  fs::remove(attempt_path(disk.path(), 7) + "/claim.json");
  overwrite_byte(attempt_path(disk.path(), 33) + "/decision.json", 5);
  ASSERT_TRUE(disk.files().serves_threads());
  const auto view = scan_store(disk.files(), disk.path());
  ASSERT_EQ(view.attempts.size(), 60U);
  for (int i = 1; i <= 60; ++i) {
    const auto& attempt = view.attempts[static_cast<std::size_t>(i) - 1];
    EXPECT_EQ(attempt.number, i);
    EXPECT_EQ(attempt.claim.has_value(), i != 7);
    EXPECT_EQ(attempt.damage.size(), i == 33 || i == 7 ? 1U : 0U);
    if (i != 7) {
      EXPECT_EQ(attempt.claim->run, "run" + std::to_string(i));
    }
  }
}

TEST(ScanStore, EndedAttemptsAreNotReadAgain) {
  StoreOnDisk disk("scan");
  disk.attempt("ended");
  disk.attempt("alive", {}, std::nullopt);
  const auto before = scan_store(disk.files(), disk.path());
  for (const auto number : {1, 2}) {
    DecisionRecord record;
    record.run = "changed";
    write_decision(disk.files(), disk.path(), number, record);
  }
  const auto again = scan_store(disk.files(), disk.path(), {}, before);
  EXPECT_EQ(again.attempt(1)->decision->run, "ended") << "its outcome says that nothing changes";
  EXPECT_EQ(again.attempt(2)->decision->run, "changed");
  EXPECT_EQ(scan_store(disk.files(), disk.path()).attempt(1)->decision->run, "changed");
  // Of another store nothing is kept.
  StoreOnDisk other("scan");
  other.attempt("other");
  EXPECT_EQ(scan_store(other.files(), other.path(), {}, before).attempt(1)->decision->run, "other");
}

TEST(ScanStore, ADecisionNeedsNoClaimsOfAttemptsThatEndedWell) {
  StoreOnDisk disk("scan");
  disk.attempt("well", {}, OutcomeKind::kPreempted);  // 1
  disk.attempt("hung", {}, std::nullopt);             // 2
  write_outcome(disk.files(), disk.path(), 2, {OutcomeKind::kFailed, 76, {}, {}, {}});
  disk.attempt("cut", {}, OutcomeKind::kPreempted);  // 3: its decision can't be read
  disk.attempt("open", {}, std::nullopt);            // 4
  disk.attempt("newest", {}, OutcomeKind::kPreempted);
  overwrite_byte(attempt_path(disk.path(), 3) + "/decision.json", 20);
  const auto scan = [&](const StoreView& before, Claims claims) {
    return scan_store(disk.files(), disk.path(), {}, before, claims);
  };
  const auto view = scan({}, Claims::kOfOpenEnds);
  EXPECT_FALSE(view.attempt(1)->claim);
  EXPECT_TRUE(view.attempt(1)->claim_unread);
  EXPECT_THAT(view.attempt(1)->damage, IsEmpty());
  EXPECT_EQ(run_of(*view.attempt(1)), "well");
  for (const auto number : {2, 3, 4, 5})
    EXPECT_TRUE(view.attempt(number)->claim) << number;
  // Who wants all of them does not take over one that lacks its claim; who does not keeps it.
  EXPECT_TRUE(scan(view, Claims::kAll).attempt(1)->claim);
  fs::remove(attempt_path(disk.path(), 1) + "/outcome.json");
  EXPECT_TRUE(scan(view, Claims::kOfOpenEnds).attempt(1)->outcome);
}

TEST(ScanStore, WhatCannotBeReadNowIsTriedAgainThenAnIoError) {
  StoreOnDisk disk("scan");
  disk.attempt("a");
  FaultFileSystem files(disk.files());
  files.fail_next(Op::kOpen);
  files.fail_next(Op::kList);
  EXPECT_EQ(scan_store(files, disk.path()).attempts.size(), 1U);
  files.fail_when(Op::kOpen, "claim.json");
  try {
    scan_store(files, disk.path());
    FAIL() << "expected kIo";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo) << "unreadable is not damaged";
  }
}

struct Hurt {
  const char* name;
  std::function<void(StoreOnDisk&)> damage;
  const char* why;
  bool headers_show_it;
};

TEST(Examine, NamesTheShardAndTheCause) {
  const CheckpointId id{1, 10};
  const std::vector<Hurt> all = {
      {"truncated", [&](auto& d) { fs::resize_file(d.shard_path(id, 1), 4100); }, "shard 1", true},
      {"empty", [&](auto& d) { fs::resize_file(d.shard_path(id, 1), 0); }, "shard 1", true},
      {"longer", [&](auto& d) { std::ofstream(d.shard_path(id, 0), std::ios::app) << "x"; },
       "shard 0", true},
      {"gone", [&](auto& d) { fs::remove(d.shard_path(id, 1)); }, "shard 1: missing", true},
      {"bit in the length", [&](auto& d) { overwrite_byte(d.shard_path(id, 0), 0); }, "shard 0",
       true},
      {"bit in the header", [&](auto& d) { overwrite_byte(d.shard_path(id, 0), 60); }, "shard 0",
       true},
      {"bit in the padding", [&](auto& d) { overwrite_byte(d.shard_path(id, 0), 4000); }, "shard 0",
       true},
      {"bit in the data", [&](auto& d) { overwrite_byte(d.shard_path(id, 1), -3); },
       "shard 1: checksum of block 0", false},
      {"foreign",
       [&](auto& d) {
         std::ofstream(d.shard_path(id, 1), std::ios::trunc) << std::string(4116, 'x');
       },
       "shard 1", true},
      {"the other shard in its place",
       [&](auto& d) {
         fs::copy_file(d.shard_path(id, 0), d.shard_path(id, 1),
                       fs::copy_options::overwrite_existing);
       },
       "shard 1", true},
      {"another checkpoint's shard",
       [&](auto& d) {
         d.checkpoint({1, 20});
         fs::copy_file(d.shard_path({1, 20}, 1), d.shard_path(id, 1),
                       fs::copy_options::overwrite_existing);
       },
       "shard 1", true},
      {"a link in its place, which is never followed",
       [&](auto& d) {
         fs::rename(d.shard_path(id, 1), d.path() + "/elsewhere");
         fs::create_symlink(d.path() + "/elsewhere", d.shard_path(id, 1));
       },
       "shard 1: not a regular file", true},
      {"no manifest",
       [&](auto& d) { fs::remove(checkpoint_path(d.path(), id) + "/manifest.json"); },
       "manifest.json is missing", true},
      {"bit in the manifest",
       [&](auto& d) { overwrite_byte(checkpoint_path(d.path(), id) + "/manifest.json", 100); },
       "manifest.json", true},
  };
  for (const auto& hurt : all) {
    SCOPED_TRACE(hurt.name);
    StoreOnDisk disk("examine");
    disk.attempt("a");
    disk.checkpoint(id);
    EXPECT_EQ(examine_one(disk, id).state, CheckpointState::kGood);
    hurt.damage(disk);
    const auto found = examine_one(disk, id);
    EXPECT_EQ(found.state, CheckpointState::kDamaged);
    EXPECT_THAT(found.why, HasSubstr(hurt.why));
    EXPECT_EQ(examine_one(disk, id, Depth::kHeaders).state == CheckpointState::kDamaged,
              hurt.headers_show_it);
  }
}

TEST(Examine, SaysWhatIsNotFinite) {
  StoreOnDisk disk("examine");
  disk.attempt("a");
  disk.checkpoint({1, 10}, 2, false);
  EXPECT_EQ(examine_one(disk, {1, 10}).state, CheckpointState::kNotFinite);
}

}  // namespace
}  // namespace lockstep
