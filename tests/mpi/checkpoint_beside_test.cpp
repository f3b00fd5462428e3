// Saves that go on beside training, on real files: what they hold, and when it counts.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/checkpoint_site.h"
#include "tests/support/fault_file_system.h"

namespace lockstep {
namespace {

using testing::agreed_failure;
using testing::other_layout;
using testing::saved_layout;
using testing::share_of;
using testing::Site;
using testing::TestState;

const CheckpointId kId{3, 1200};

// Tensors of several blocks beside small ones.
std::vector<testing::SectionPlan> large_layout() {
  return {{{{"model.large", Dtype::kF32, {2, 1 << 20}}}, true},
          {{{"optimizer.large.exp_avg", Dtype::kF32, {2, 1 << 20}}}, false},
          {{{"buffer.mean", Dtype::kF32, {7}}}, true}};
}

class CheckpointBeside : public ::testing::Test {
 protected:
  std::unique_ptr<PendingSave> begin(const Site& site, const StateView& view,
                                     const CheckpointId& id = kId) {
    return begin_save(world, *files, site.store, Site::draft(id), view, site.steps(*files),
                      Beside{arena, 2});
  }
  // Made once: a hash for each element.
  TestState original() const {
    static const TestState kOriginal(large_layout(), share_of(world), 1);
    return kOriginal;
  }
  // Ticks until no rank is at work.
  void wait_for_all_parts(const PendingSave& save) const {
    for (int any = 1; any != 0;) {
      any = save.under_way() ? 1 : 0;
      check_mpi(MPI_Allreduce(MPI_IN_PLACE, &any, 1, MPI_INT, MPI_MAX, world.raw()),
                "MPI_Allreduce");
    }
  }
  static void spoil(TestState& state) {
    for (auto& section : state.bytes())
      std::fill(section.begin(), section.end(), std::byte{0x3f});
  }
  void expect_loads_as(const Site& site, TestState& expected) {
    TestState loaded = original();
    spoil(loaded);
    site.load(world, *files, kId, loaded);
    EXPECT_EQ(loaded.bytes(), expected.bytes());
  }

  Comm world = Comm::duplicate(MPI_COMM_WORLD);
  std::unique_ptr<FileSystem> files = make_posix_file_system();
  Arena arena;
};

TEST_F(CheckpointBeside, HoldsTheStateAsItWasWhenItBegan) {
  const Site site(world, "beside");
  TestState expected = original();
  for (const bool touched_before : {false, true}) {  // twice: the memory is used again
    SCOPED_TRACE(touched_before);
    TestState state = original();
    const auto save = begin(site, state.view());
    save->await_snapshot();
    spoil(state);
    EXPECT_FALSE(save->failed());
    for (const bool through : {false, false, true}) {  // begun, written, committed
      EXPECT_FALSE(site.has(site.path(kId)));
      wait_for_all_parts(*save);
      EXPECT_EQ(save->advance(), through);
    }
    EXPECT_TRUE(site.has(site.path(kId)));
    expect_loads_as(site, expected);
    testing::wait_for_all(world);
    if (world.is_root()) std::filesystem::remove_all(site.path(kId));
    testing::wait_for_all(world);
  }
}

TEST_F(CheckpointBeside, WhatTheForwardPassChangesIsCopiedAtOnce) {
  const Site site(world, "beside-forward");
  TestState expected = original();
  TestState state = original();
  auto view = state.view();
  view.sections.back().changes_in_forward = true;
  const auto save = begin(site, view);
  std::fill(state.bytes().back().begin(), state.bytes().back().end(), std::byte{0x3f});
  save->await_snapshot();
  save->finish({});
  expect_loads_as(site, expected);
}

TEST_F(CheckpointBeside, CanBeWaitedForAtAnyTime) {
  const Site site(world, "beside-finish");
  TestState state = original();
  begin(site, state.view())->finish({});
  expect_loads_as(site, state);
  const auto save = begin(site, state.view(), {3, 1201});
  for (int stage = 0; stage < 2; ++stage) {
    wait_for_all_parts(*save);
    EXPECT_FALSE(save->advance());
  }
  save->finish({});
  EXPECT_TRUE(site.has(site.path({3, 1201})));
}

TEST_F(CheckpointBeside, IsNeverCommittedWhereItIsDroppedOnTheWay) {
  const Site site(world, "beside-dropped");
  TestState state = original();
  begin(site, state.view()).reset();
  testing::wait_for_all(world);
  EXPECT_FALSE(site.has(site.path(kId)));
  begin(site, state.view(), {3, 1201})->finish({});
  EXPECT_TRUE(site.has(site.path({3, 1201})));
}

TEST_F(CheckpointBeside, ThatIsGivenUpTellsTheCauseOfTheRankThatFailed) {
  const Site site(world, "beside-given-up");
  TestState state = original();
  testing::FaultFileSystem faults(*files);
  const int last = world.size() - 1;
  if (world.rank() == last) faults.fail_when(testing::Op::kReserve, "shard-");
  const auto save = begin_save(world, faults, site.store, Site::draft(kId), state.view(),
                               site.steps(faults), Beside{arena, 1});
  wait_for_all_parts(*save);
  EXPECT_FALSE(save->advance());
  wait_for_all_parts(*save);
  EXPECT_EQ(save->failed(), world.rank() == last);
  save->give_up();
  const auto failure = agreed_failure(world, [&] { save->advance(); });
  EXPECT_EQ(failure.code, ErrorCode::kIo);
  EXPECT_EQ(failure.rank, last);
  testing::wait_for_all(world);  // rank 0 drops it after the others have thrown
  EXPECT_FALSE(site.has(partial_path(site.store, kId)));
  testing::wait_for_all(world);
}

TEST_F(CheckpointBeside, ThatCannotBeginFailsForAll) {
  const Site site(world, "beside-nowhere");
  TestState state = original();
  if (world.is_root()) std::filesystem::remove_all(checkpoints_path(site.store));
  testing::wait_for_all(world);
  const auto save = begin(site, state.view());
  wait_for_all_parts(*save);
  EXPECT_EQ(save->failed(), world.is_root());
  const auto failure = agreed_failure(world, [&] { save->advance(); });
  EXPECT_EQ(failure.text.rfind("begin save: rank 0: ", 0), 0U) << failure.text;
}

}  // namespace
}  // namespace lockstep
