#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/file_system.h"
#include "tests/support/checkpoint_site.h"

namespace lockstep {
namespace {

using testing::agreed_failure;
using testing::first_ranks;
using ::testing::HasSubstr;
using testing::other_layout;
using testing::saved_layout;
using testing::SectionPlan;
using testing::share_of;
using testing::Site;
using ::testing::StartsWith;
using testing::TestState;

const CheckpointId kId{3, 1200};

class Checkpoint : public ::testing::Test {
 protected:
  Comm world = Comm::duplicate(MPI_COMM_WORLD);
  std::unique_ptr<FileSystem> files = make_posix_file_system();
};

TEST_F(Checkpoint, WrittenByAnyWorldLoadsOnAnyOtherIntoAnotherLayout) {
  const Site site(world, "worlds");
  for (int writers = 1; writers <= world.size(); ++writers) {
    const CheckpointId id{1, writers};
    if (const auto comm = first_ranks(world, writers)) {
      TestState state(saved_layout(), share_of(*comm), 1);
      const auto before = state.bytes();
      site.save(*comm, *files, id, state);
      EXPECT_EQ(state.bytes(), before);
      EXPECT_EQ(site.manifest(id).world_size, writers);
      EXPECT_FALSE(site.has(partial_path(site.store, id)));
    }
    testing::wait_for_all(world);
    for (int readers = 1; readers <= world.size(); ++readers) {
      const auto comm = first_ranks(world, readers);
      if (!comm) continue;
      for (const auto& layout : {saved_layout(), other_layout()}) {
        TestState state(layout, share_of(*comm), 2);
        site.load(*comm, *files, id, state);
        EXPECT_EQ(state.bytes(), TestState(layout, share_of(*comm), 1).bytes())
            << writers << " to " << readers;
      }
    }
  }
}

TEST_F(Checkpoint, SavedAgainAfterALoadIsTheSameBytes) {
  const Site site(world, "again");
  TestState state(saved_layout(), share_of(world), 1);
  site.save(world, *files, kId, state);
  TestState loaded(saved_layout(), share_of(world), 2);
  site.load(world, *files, kId, loaded);
  EXPECT_EQ(loaded.bytes(), state.bytes());
  // Attempt and iteration stand in the header, so only the data of the two is compared.
  site.save(world, *files, {4, 1200}, loaded);
  const auto data = [&](const CheckpointId& id) {
    const auto file = files->open(site.shard(id, world.rank(), world.size()));
    const auto header = read_safetensors_header(*file, "shard");
    std::vector<std::byte> bytes(header.data_bytes);
    file->read_at(header.data_begin, bytes);
    return bytes;
  };
  EXPECT_EQ(data(kId), data({4, 1200}));
}

TEST_F(Checkpoint, MoreRanksThanElementsMakeShardsWithoutEntries) {
  const Site site(world, "tiny");
  const std::vector<SectionPlan> tiny = {{{{"model.w", Dtype::kF32, {}}}, true}};
  TestState state(tiny, share_of(world), 1);
  site.save(world, *files, kId, state);
  const auto manifest = site.manifest(kId);
  for (std::int64_t i = 0; i < world.size(); ++i) {
    const auto file = files->open(site.shard(kId, i, world.size()));
    const auto header = read_safetensors_header(*file, "shard");
    check_shard(manifest, i, header, describe_shard(header, "shard"), file->size(), "shard");
    EXPECT_EQ(header.tensors.size(), i == world.size() - 1 ? 1U : 0U);
  }
  TestState loaded(tiny, share_of(world), 2);
  site.load(world, *files, kId, loaded);
  EXPECT_EQ(loaded.bytes(), state.bytes());
}

TEST_F(Checkpoint, OneNanOnOneRankMakesTheManifestNotFinite) {
  const Site site(world, "nan");
  TestState state(saved_layout(), share_of(world), 1);
  site.save(world, *files, kId, state);
  EXPECT_TRUE(site.manifest(kId).finite);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto& part = state.bytes()[4];  // the own part of the optimizer's state
  const auto poisoned = world.rank() == world.size() - 1;
  if (poisoned) std::memcpy(part.data() + part.size() - sizeof nan, &nan, sizeof nan);
  site.save(world, *files, {3, 1400}, state);
  EXPECT_FALSE(site.manifest({3, 1400}).finite);
  // It is loaded like any other: only the choice of a checkpoint looks at this.
  TestState loaded(saved_layout(), share_of(world), 2);
  site.load(world, *files, {3, 1400}, loaded);
  EXPECT_EQ(loaded.bytes(), state.bytes());
}

TEST_F(Checkpoint, MisfitsInBothDirectionsAreListedBeforeAnythingIsOpened) {
  const Site site(world, "misfit");
  TestState state(saved_layout(), share_of(world), 1);
  site.save(world, *files, kId, state);
  auto layout = saved_layout();
  layout[1].tensors[0].shape = {4, 9};
  layout[2].tensors[0].name = "model.new";
  layout[5].tensors[0].dtype = Dtype::kBool;
  TestState other(layout, share_of(world), 2);
  const auto manifest = site.manifest(kId);
  const auto before = other.bytes();
  const auto failure = agreed_failure(world, [&] {
    load_checkpoint(world, *files, "/there/is/no/such/folder", manifest, {}, other.view());
  });
  EXPECT_EQ(failure.code, ErrorCode::kMismatch);
  EXPECT_EQ(failure.text,
            "compare tensors: rank 0: 3@1200 does not fit the model:\n"
            "  model.bias: in the checkpoint, not in the model\n"
            "  model.conv: F32 [4, 3, 3] in the checkpoint, F32 [4, 9] in the model\n"
            "  model.new: in the model, not in the checkpoint\n"
            "  optimizer.mask: U8 [3] in the checkpoint, BOOL [3] in the model\n"
            "what should not be loaded can be named in restore.exclude");
  EXPECT_EQ(other.bytes(), before);
}

TEST_F(Checkpoint, AnIntegerBufferThatDiffersOnOneRankStopsTheSave) {
  const Site site(world, "integers");
  TestState state(saved_layout(), share_of(world), 1);
  const int last = world.size() - 1;
  if (world.rank() == last) state.bytes()[0][9] ^= std::byte{1};
  const auto failure = agreed_failure(world, [&] { site.save(world, *files, kId, state); });
  if (world.size() == 1) {
    EXPECT_EQ(failure.code, ErrorCode::kOk);
    return;
  }
  EXPECT_EQ(failure.code, ErrorCode::kMismatch);
  EXPECT_EQ(failure.rank, last);
  EXPECT_THAT(failure.text, StartsWith("write shards: rank " + std::to_string(last) +
                                       ": buffer.seen has other values"));
  EXPECT_FALSE(site.has(site.path(kId)));
  EXPECT_FALSE(site.has(partial_path(site.store, kId)));
}

TEST_F(Checkpoint, RanksThatSaveDifferentIterationsStopTheSave) {
  const Site site(world, "iterations");
  TestState state(saved_layout(), share_of(world), 1);
  const int last = world.size() - 1;
  const CheckpointId id{3, world.rank() == last ? 1300 : 1200};
  const auto failure = agreed_failure(world, [&] { site.save(world, *files, id, state); });
  if (last > 0) {
    EXPECT_THAT(failure.text, HasSubstr("'checkpoint 3@1300' differs from rank 0's"));
  }
  EXPECT_EQ(failure.code, last > 0 ? ErrorCode::kInternal : ErrorCode::kOk);
}

}  // namespace
}  // namespace lockstep
