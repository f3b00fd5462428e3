// The fault matrix: each operation of save and load fails on rank 0, on the last rank, on all
// ranks. Every time: the same error on every rank, the state untouched, the fault fired, and the
// next save or load on the same communicator works.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_site.h"
#include "tests/support/fault_file_system.h"

namespace lockstep {
namespace {

using testing::agreed_failure;
using testing::Failure;
using testing::Fault;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::Op;
using testing::other_layout;
using testing::saved_layout;
using testing::share_of;
using testing::Site;
using ::testing::StartsWith;
using testing::TestState;

const CheckpointId kId{3, 1200};

struct Row {
  std::string name;
  std::string phase;
  bool root_only;  // the operation is made by rank 0 alone
  ErrorCode code;
  std::function<void(FaultFileSystem&)> plant;
};

struct Place {
  std::string name;
  std::function<bool(const Comm&)> has;
};

std::vector<Place> places() {
  return {{"rank 0", [](const Comm& comm) { return comm.is_root(); }},
          {"last rank", [](const Comm& comm) { return comm.rank() == comm.size() - 1; }},
          {"all ranks", [](const Comm&) { return true; }}};
}

std::vector<Row> save_rows() {
  const auto fails = [](Op op, const std::string& part, ErrorCode code = ErrorCode::kIo) {
    return [=](FaultFileSystem& files) { files.fail_when(op, part, code); };
  };
  const auto faults = [](Op op, const std::string& part, Fault fault) {
    return [=](FaultFileSystem& files) { files.fault_when(op, part, fault); };
  };
  return {
      {"begin", "begin save", true, ErrorCode::kIo, fails(Op::kMakeFolder, ".partial")},
      {"begin, done", "begin save", true, ErrorCode::kIo,
       faults(Op::kMakeFolder, ".partial", Fault::kDoneThenThrow)},
      {"create", "write shards", false, ErrorCode::kIo, fails(Op::kCreate, "shard-")},
      {"gone", "write shards", false, ErrorCode::kIo,
       fails(Op::kCreate, "shard-", ErrorCode::kNotFound)},
      {"no space", "write shards", false, ErrorCode::kIo, fails(Op::kReserve, "shard-")},
      {"write", "write shards", false, ErrorCode::kIo, fails(Op::kWriteAt, "shard-")},
      {"half a write", "write shards", false, ErrorCode::kIo,
       faults(Op::kWriteAt, "shard-", Fault::kHalfThenThrow)},
      {"finish", "write shards", false, ErrorCode::kIo, fails(Op::kFinish, "shard-")},
      {"manifest", "commit", true, ErrorCode::kIo, fails(Op::kCreate, "manifest")},
      {"manifest's fsync", "commit", true, ErrorCode::kIo, fails(Op::kFinish, "manifest")},
      {"rename", "commit", true, ErrorCode::kIo, fails(Op::kRename, ".partial to ")},
      {"superseded", "commit", true, ErrorCode::kSuperseded,
       fails(Op::kRename, ".partial to ", ErrorCode::kSuperseded)},
  };
}

class CheckpointFaults : public ::testing::Test {
 protected:
  // What must be true of an error that was planted at `place`.
  void expect_planted(const Row& row, const Place& place, const Failure& failure) {
    const int rank = place.name == "last rank" ? world.size() - 1 : 0;
    EXPECT_EQ(failure.code, row.code) << failure.text;
    EXPECT_EQ(failure.rank, rank);
    EXPECT_THAT(failure.text, StartsWith(row.phase + ": rank " + std::to_string(rank) + ": "));
  }

  Comm world = Comm::duplicate(MPI_COMM_WORLD);
  std::unique_ptr<FileSystem> real = make_posix_file_system();
  FaultFileSystem files{*real};
};

class SaveFaults : public CheckpointFaults, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(BesideTraining, SaveFaults, ::testing::Bool());

TEST_P(SaveFaults, EndAlikeEverywhereAndLeaveNothingBehind) {
  const Site site(world, "save-faults");
  Arena arena;
  std::optional<Beside> beside;
  if (GetParam()) beside.emplace(Beside{arena, 1});
  TestState state(saved_layout(), share_of(world), 1);
  const auto before = state.bytes();
  std::int64_t iteration = 0;
  for (const auto& row : save_rows())
    for (const auto& place : places()) {
      SCOPED_TRACE(row.name + " on " + place.name);
      const CheckpointId id{3, ++iteration};
      const bool planted = place.has(world);
      const int fired = files.fired();
      if (planted) row.plant(files);
      const auto failure =
          agreed_failure(world, [&] { site.save(world, files, id, state, beside); });
      files.clear();
      const bool mine = planted && (!row.root_only || world.is_root());
      EXPECT_EQ(files.fired() > fired, mine);
      const bool fails = !row.root_only || place.name != "last rank" || world.size() == 1;
      if (fails) {
        expect_planted(row, place, failure);
        EXPECT_FALSE(site.has(site.path(id)));
        testing::wait_for_all(world);  // rank 0 drops it after the others have thrown
        EXPECT_FALSE(site.has(partial_path(site.store, id)));
        testing::wait_for_all(world);
        EXPECT_EQ(agreed_failure(world, [&] { site.save(world, files, id, state, beside); }),
                  Failure());
      } else {
        EXPECT_EQ(failure, Failure()) << "only rank 0 does this";
      }
      EXPECT_EQ(state.bytes(), before);
      TestState loaded(other_layout(), share_of(world), 2);
      site.load(world, files, id, loaded);
      EXPECT_EQ(loaded.bytes(), TestState(other_layout(), share_of(world), 1).bytes());
    }
}

TEST_F(CheckpointFaults, ASaveIsDroppedByAllWhereOneRanksTimeIsOver) {
  const Site site(world, "no-time");
  TestState state(saved_layout(), share_of(world), 1);
  const bool last = world.rank() == world.size() - 1;
  const auto failure = agreed_failure(world, [&] {
    save_checkpoint(world, files, site.store, Site::draft(kId), state.view(), site.steps(files),
                    [&] { return last; });
  });
  EXPECT_EQ(failure.code, ErrorCode::kIo);
  EXPECT_THAT(failure.text, HasSubstr("no time is left to write it"));
  EXPECT_FALSE(std::filesystem::exists(site.path(kId)));
  EXPECT_FALSE(std::filesystem::exists(partial_path(site.store, kId)));
}

TEST_F(CheckpointFaults, WhenDroppingThePartialFailsTooTheFirstErrorIsTold) {
  const Site site(world, "abandon-fault");
  TestState state(saved_layout(), share_of(world), 1);
  auto steps = site.steps(files);
  int abandoned = 0;
  steps.abandon = [&abandoned](const CheckpointId&) {
    ++abandoned;
    throw Error(ErrorCode::kInternal, "second");
  };
  files.fail_when(Op::kCreate, "shard-");
  const auto failure = agreed_failure(world, [&] {
    save_checkpoint(world, files, site.store, Site::draft(kId), state.view(), steps);
  });
  EXPECT_EQ(failure.code, ErrorCode::kIo);
  EXPECT_THAT(failure.text, HasSubstr("planted fault"));
  EXPECT_EQ(abandoned, world.is_root() ? 1 : 0);
}

// Reads that one header takes: what comes after is data.
int reads_of_a_header(const Site& site, FaultFileSystem& files, const Comm& world) {
  const int before = files.calls(Op::kReadAt);
  read_safetensors_header(*files.open(site.shard(kId, world.rank(), world.size())), "shard");
  return files.calls(Op::kReadAt) - before;
}

std::vector<Row> load_rows(int header_reads) {
  const auto data = [header_reads](Fault fault) {
    return [=](FaultFileSystem& files) {
      for (int i = 1; i <= 3; ++i)
        files.fault_next(Op::kReadAt, fault, i * (header_reads + 1));
    };
  };
  const auto header = [](Fault fault) {
    return [=](FaultFileSystem& files) { files.fault_when(Op::kReadAt, "shard-", fault); };
  };
  const std::string phase = "read shards";
  return {
      {"open", phase, false, ErrorCode::kIo,
       [](FaultFileSystem& files) { files.fail_when(Op::kOpen, "shard-"); }},
      {"look-up", phase, false, ErrorCode::kIo,
       [](FaultFileSystem& files) {
         files.fail_when(Op::kOpen, "shard-", ErrorCode::kNotFound);
         files.fail_when(Op::kInfo, "shard-");
       }},
      {"header", phase, false, ErrorCode::kIo, header(Fault::kThrow)},
      {"short header", phase, false, ErrorCode::kDamaged, header(Fault::kShortRead)},
      {"bit of header", phase, false, ErrorCode::kDamaged,
       [=](FaultFileSystem& files) {
         files.fault_next(Op::kReadAt, Fault::kFlipBit, header_reads);
       }},
      {"data", phase, false, ErrorCode::kIo, data(Fault::kThrow)},
      {"short data", phase, false, ErrorCode::kDamaged, data(Fault::kShortRead)},
      {"bit of data", phase, false, ErrorCode::kDamaged, data(Fault::kFlipBit)},
  };
}

TEST_F(CheckpointFaults, OfALoadEndAlikeEverywhereAndHinderNoOtherLoad) {
  const Site site(world, "load-faults");
  TestState saved(saved_layout(), share_of(world), 1);
  site.save(world, files, kId, saved);
  for (const auto& row : load_rows(reads_of_a_header(site, files, world)))
    for (const auto& place : places()) {
      SCOPED_TRACE(row.name + " on " + place.name);
      TestState state(saved_layout(), share_of(world), 2);
      const int fired = files.fired();
      if (place.has(world)) row.plant(files);
      const auto failure = agreed_failure(world, [&] { site.load(world, files, kId, state); });
      files.clear();
      EXPECT_EQ(files.fired() > fired, place.has(world));
      expect_planted(row, place, failure);
      EXPECT_THAT(failure.text, HasSubstr(": 3@1200: shard "));
      EXPECT_EQ(agreed_failure(world, [&] { site.load(world, files, kId, state); }), Failure());
      EXPECT_EQ(state.bytes(), saved.bytes());
    }
}

TEST_F(CheckpointFaults, ThatPassAreTriedAgainWithoutAWord) {
  const Site site(world, "passing");
  TestState saved(saved_layout(), share_of(world), 1);
  const bool last = world.rank() == world.size() - 1;
  if (last) files.fault_next(Op::kFinish, Fault::kDoneThenThrow, 1, "shard-");
  site.save(world, files, kId, saved);
  if (last) files.fail_next(Op::kOpen, ErrorCode::kIo);
  if (last) files.fail_next(Op::kReadAt, ErrorCode::kIo, 2);
  TestState state(saved_layout(), share_of(world), 2);
  site.load(world, files, kId, state);
  EXPECT_EQ(state.bytes(), saved.bytes());
  EXPECT_EQ(files.fired(), last ? 3 : 0);
}

}  // namespace
}  // namespace lockstep
