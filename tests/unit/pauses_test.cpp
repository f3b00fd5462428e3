// A process sleeps before each file operation of a deletion or a commit in turn; meanwhile another
// attempt takes over: claims, brings back what is in trash, decides. Then the sleeper goes on. What
// the newcomer counts on must stay whole, and the sleeper must not acknowledge. Beside each promise
// stand the bugs that it is about: a harness that does not find them proves nothing.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/error.h"
#include "coordinator/attempt.h"
#include "coordinator/catalog.h"
#include "coordinator/commit.h"
#include "coordinator/launch.h"
#include "coordinator/lineage.h"
#include "coordinator/retainer.h"
#include "coordinator/retention.h"
#include "tests/support/pausing_file_system.h"
#include "tests/support/store_builder.h"
#include "tests/support/store_on_disk.h"

namespace lockstep {
namespace {

using lockstep::testing::iteration;
using lockstep::testing::latest;
using lockstep::testing::launch_of;
using lockstep::testing::PausingFileSystem;
using lockstep::testing::StoreOnDisk;

const CheckpointId kVictim = {1, 10};

// What the newcomer decided, and all that it may come back to.
struct Newcomer {
  std::optional<CheckpointId> parent;
  std::vector<CheckpointId> lineage;
};

Newcomer take_over(StoreOnDisk& disk, const Request& request) {
  auto launch = launch_of(request, "newcomer");
  launch.store_path = disk.path();
  const auto claimed = claim_next(disk.files(), launch, {}, 2, StoreOnDisk::claim_of("newcomer"));
  const auto decided = decide_claimed(disk.files(), launch, claimed.value().attempt);
  Newcomer newcomer;
  if (decided.ruling.record.parent) newcomer.parent = decided.ruling.record.parent->checkpoint;
  newcomer.lineage = newest_lineage(decided.store).checkpoints;
  return newcomer;
}

bool is_whole(StoreOnDisk& disk, const CheckpointId& id) {
  return examine(disk.files(), disk.path(), {id, std::nullopt, std::nullopt}, Depth::kBytes)
             .state == CheckpointState::kGood;
}

// Every checkpoint that stands in its place is whole, and so are all of `counted_on`.
bool all_whole(StoreOnDisk& disk, const std::vector<CheckpointId>& counted_on) {
  const auto whole = [&](const CheckpointId& id) { return is_whole(disk, id); };
  const auto view = scan_store(disk.files(), disk.path());
  return std::all_of(counted_on.begin(), counted_on.end(), whole) &&
         std::all_of(view.checkpoints.begin(), view.checkpoints.end(),
                     [&](const CheckpointView& c) { return c.trash || whole(c.id); });
}

struct Tally {
  int pauses = 0;
  int broken = 0;    // pauses after which a checkpoint was not whole
  int restored = 0;  // pauses in which the newcomer chose the victim
  int failed = 0;    // the sleeper ended with an error that is not "superseded"
};

using Sleeper = std::function<void(PausingFileSystem&, const std::string& store)>;

Tally pause_each_operation(const Sleeper& sleeper, const Request& request) {
  Tally tally;
  StoreOnDisk disk("pauses");
  disk.attempt("sleeper", {}, std::nullopt);
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  disk.keep();
  for (int nth = 1;; ++nth, disk.bring_back_kept()) {
    Newcomer newcomer;
    PausingFileSystem files(disk.files(), nth, [&] { newcomer = take_over(disk, request); });
    try {
      sleeper(files, disk.path());
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kSuperseded) ++tally.failed;
    }
    if (!files.paused()) return tally;
    ++tally.pauses;
    if (newcomer.parent == kVictim) ++tally.restored;
    if (!all_whole(disk, newcomer.lineage)) ++tally.broken;
  }
}

TEST(Pauses, ADeletionThatSleepsAnywhereDestroysNothingThatWasBroughtBack) {
  const std::vector<Sleeper> deleters = {
      [](auto& files, const auto& store) { delete_checkpoint(files, store, 1, kVictim); },
      [](auto& files, const auto& store) {
        delete_unpinned(files, store, 1, {kVictim, std::nullopt, std::nullopt});
      }};
  for (const auto& deleter : deleters) {
    const auto tally = pause_each_operation(deleter, iteration(kVictim.iteration, 1));
    EXPECT_EQ(tally.broken, 0);
    EXPECT_EQ(tally.failed, 0);
    EXPECT_GE(tally.pauses, 9) << "rename, list, list, manifest, shards, folder";
    EXPECT_GE(tally.restored, 3);
  }
}

TEST(Pauses, ADeletionThatIsKilledAnywhereLeavesAWholeCheckpointOrNone) {
  StoreOnDisk disk("pauses");
  disk.attempt("killed", {}, std::nullopt);
  for (const std::int64_t at : {10, 20, 30})
    disk.checkpoint({1, at});
  disk.keep();
  int kept = 0;
  for (int nth = 1;; ++nth, disk.bring_back_kept()) {
    PausingFileSystem files(disk.files(), nth, [] { throw std::runtime_error("killed"); });
    try {
      delete_checkpoint(files, disk.path(), 1, kVictim);
    } catch (const std::runtime_error& e) {
      if (!files.paused()) throw;
    }
    if (!files.paused()) break;
    const auto next = take_over(disk, latest());
    EXPECT_EQ(next.parent, (CheckpointId{1, 30}));
    EXPECT_TRUE(all_whole(disk, next.lineage)) << "killed before operation " << nth;
    if (next.lineage.size() == 3) ++kept;
  }
  EXPECT_GE(kept, 4) << "until its manifest is unlinked it comes back";
}

TEST(Pauses, APassOfRetentionThatSleepsAnywhereTakesNothingFromTheNewcomer) {
  const auto tally = pause_each_operation(
      [](auto& files, const auto& store) {
        const Log silent({}, false);
        Retainer(files, store, 1, {1, {}, {}}, silent).pass(30);
      },
      latest());
  EXPECT_EQ(tally.broken, 0);
  EXPECT_GE(tally.pauses, 30);
}

// ---- the bugs
// ------------------------------------------------------------------------------------
std::string to_trash(FileSystem& files, const std::string& store) {
  auto trash = checkpoints_path(store) + "/" + trash_folder({1, random_hex(16), kVictim});
  files.rename(checkpoint_path(store, kVictim), trash);
  return trash;
}

TEST(Pauses, WithoutASecondLookTheHarnessFindsTheLoss) {
  const auto tally = pause_each_operation(
      [](auto& files, const auto& store) {
        const auto trash = to_trash(files, store);
        const auto entries = files.list(trash);
        files.unlink(trash + "/manifest.json");
        for (const auto& entry : entries)
          files.unlink(trash + "/" + entry.name);
        files.remove_folder(trash);
      },
      iteration(kVictim.iteration, 1));
  EXPECT_GT(tally.broken, 0);
}

TEST(Pauses, WithTheManifestLastTheHarnessFindsTheDamage) {
  const auto tally = pause_each_operation(
      [](auto& files, const auto& store) {
        const auto trash = to_trash(files, store);
        require_newest(files, store, 1);
        auto entries = files.list(trash);
        std::reverse(entries.begin(), entries.end());
        for (const auto& entry : entries)
          files.unlink(trash + "/" + entry.name);
        files.remove_folder(trash);
      },
      iteration(kVictim.iteration, 1));
  EXPECT_GT(tally.broken, 0);
}

// As remove_all does it: by a descriptor of the folder, which follows the folder where it goes.
TEST(Pauses, WithARecursiveRemoveTheHarnessFindsTheEmptiedCheckpoint) {
  const auto tally = pause_each_operation(
      [](PausingFileSystem& files, const std::string& store) {
        const auto trash = to_trash(files, store);
        require_newest(files, store, 1);
        const int folder = ::open(trash.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) return;
        for (const auto& entry : std::filesystem::directory_iterator(trash)) {
          files.pause();
          ::unlinkat(folder, entry.path().filename().c_str(), 0);
        }
        ::close(folder);
        files.remove_folder(trash);
      },
      iteration(kVictim.iteration, 1));
  EXPECT_GT(tally.broken, 0);
}

// ---- commit
// --------------------------------------------------------------------------------------
using Committer = std::function<void(FileSystem&, const std::string& store, const Manifest&)>;

struct Commits {
  int pauses = 0;
  int acknowledged = 0;  // though a higher attempt was there
  int reached = 0;       // by `latest`, though it was not there when the newcomer decided
  int seen = 0;          // there when the newcomer decided, and chosen
};

Commits pause_each_operation_of(const Committer& committer) {
  Commits tally;
  StoreOnDisk disk("pauses");
  disk.attempt("sleeper", {}, std::nullopt);
  disk.checkpoint({1, 10});
  begin_commit(disk.files(), disk.path(), {1, 20});
  const auto manifest = disk.write_shards({1, 20}, 2);
  disk.keep();
  for (int nth = 1;; ++nth, disk.bring_back_kept()) {
    Newcomer newcomer;
    PausingFileSystem files(disk.files(), nth, [&] { newcomer = take_over(disk, latest()); });
    bool acknowledged = true;
    try {
      committer(files, disk.path(), manifest);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kSuperseded) << e.what();
      acknowledged = false;
    }
    if (!files.paused()) return tally;
    ++tally.pauses;
    if (acknowledged) ++tally.acknowledged;
    const bool seen = newcomer.parent == CheckpointId{1, 20};
    if (seen) ++tally.seen;
    const auto reach = newest_lineage(scan_store(disk.files(), disk.path())).checkpoints;
    const bool reached = std::find(reach.begin(), reach.end(), CheckpointId{1, 20}) != reach.end();
    if (reached != seen) ++tally.reached;
    EXPECT_TRUE(all_whole(disk, reach));
  }
}

TEST(Pauses, ACommitThatSleepsAnywhereIsNotAcknowledgedAndReachedOnlyWhereItWasSeen) {
  const auto tally = pause_each_operation_of(
      [](auto& files, const auto& store, const auto& manifest) { commit(files, store, manifest); });
  EXPECT_EQ(tally.acknowledged, 0);
  EXPECT_EQ(tally.reached, 0);
  EXPECT_GE(tally.pauses, 8);
  EXPECT_GE(tally.seen, 2) << "after the rename it was there";
}

TEST(Pauses, WithoutASecondLookACommitWouldBeAcknowledged) {
  const auto tally =
      pause_each_operation_of([](auto& files, const auto& store, const auto& manifest) {
        const auto partial = partial_path(store, manifest.checkpoint);
        write_durably(files, partial + "/manifest.json", encode_manifest(manifest));
        require_newest(files, store, manifest.checkpoint.attempt);
        files.rename(partial, checkpoint_path(store, manifest.checkpoint));
        files.sync_folder(checkpoints_path(store));
      });
  EXPECT_GT(tally.acknowledged, 0);
}

}  // namespace
}  // namespace lockstep
