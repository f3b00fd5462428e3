// The pure parts of save and load: own bytes, digests, finiteness, misfits, common ground.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/test_state.h"
#include "worker/common_ground.h"
#include "worker/finite.h"
#include "worker/state.h"
#include "worker/tensor_match.h"

namespace lockstep {
namespace {

using testing::SectionPlan;
using testing::TestState;

std::string error_of(ErrorCode code, const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    return e.what();
  }
  return "no error";
}

TEST(OwnBytes, IsThePartOfAReplicatedSectionAndAllOfAPartitionedOne) {
  for (const std::int64_t world : {1, 2, 3, 7}) {
    std::vector<std::byte> joined;
    for (std::int64_t rank = 0; rank < world; ++rank) {
      const TensorInfo tensor{"a", Dtype::kF32, {5}};
      TestState whole({{{tensor}, true}}, {rank, world}, 1);
      TestState part({{{tensor}, false}}, {rank, world}, 1);
      const auto own = own_bytes(whole.view().sections[0], {rank, world});
      const auto same = own_bytes(part.view().sections[0], {rank, world});
      EXPECT_EQ(std::vector(own.begin(), own.end()), std::vector(same.begin(), same.end()));
      EXPECT_EQ(same.size(), part.bytes()[0].size());
      joined.insert(joined.end(), own.begin(), own.end());
    }
    EXPECT_EQ(joined, TestState({{{{"a", Dtype::kF32, {5}}}, true}}, {0, 1}, 1).bytes()[0]);
  }
}

TEST(TensorsDigest, HoldsNamesDtypesAndShapesButNotTheirOrder) {
  const TensorInfo a{"a", Dtype::kF32, {2, 3}};
  const TensorInfo b{"b", Dtype::kF32, {4}};
  const auto digest = [](const std::vector<SectionPlan>& plans) {
    return tensors_digest(TestState(plans, {0, 1}, 1).view());
  };
  const auto base = digest({{{a, b}, true}});
  EXPECT_EQ(base, digest({{{b}, true}, {{a}, false}}));
  EXPECT_NE(base, digest({{{a}, true}}));
  EXPECT_NE(base, digest({{{{"c", Dtype::kF32, {2, 3}}, b}, true}}));
  EXPECT_NE(base, digest({{{{"a", Dtype::kF32, {3, 2}}, b}, true}}));
  EXPECT_NE(base, digest({{{{"a", Dtype::kF32, {23}}, b}, true}}));
  EXPECT_NE(base, digest({{{{"a", Dtype::kI32, {2, 3}}}, true}, {{b}, true}}));
}

TEST(DescribeState, RefusesASectionThatContradictsItsTensors) {
  TestState state({{{{"a", Dtype::kF32, {5}}}, true}}, {0, 1}, 1);
  Manifest manifest;
  auto view = state.view();
  view.sections[0].elements = 6;
  EXPECT_EQ(error_of(ErrorCode::kInternal, [&] { describe_state(view, 1, manifest); }),
            "a section of 6 elements holds tensors of 5");
  view = state.view();
  view.sections[0].dtype = Dtype::kI32;
  EXPECT_EQ(error_of(ErrorCode::kInternal, [&] { describe_state(view, 1, manifest); }),
            "a is F32 in a section of I32");
}

// Plants `value` at every place of a buffer long enough for the fast path and its rest.
template <typename Bits>
void expect_found_everywhere(Dtype dtype, Bits largest, Bits bad) {
  std::vector<Bits> values(2100, largest);
  EXPECT_TRUE(all_finite(dtype, std::as_bytes(std::span(values))));
  for (std::size_t i = 0; i < values.size(); i += i < 4 || i > 2090 ? 1 : 61) {
    values[i] = bad;
    EXPECT_FALSE(all_finite(dtype, std::as_bytes(std::span(values)))) << i;
    values[i] = largest;
  }
}

TEST(AllFinite, FindsNanAndInfOfAnyFloatAtAnyPlace) {
  expect_found_everywhere<std::uint32_t>(Dtype::kF32, 0x7f7fffff, 0x7f800000);
  expect_found_everywhere<std::uint32_t>(Dtype::kF32, 0xff7fffff, 0xffc00001);
  expect_found_everywhere<std::uint64_t>(Dtype::kF64, 0x7fefffffffffffff, 0x7ff0000000000000);
  expect_found_everywhere<std::uint16_t>(Dtype::kF16, 0x7bff, 0xfc00);
  expect_found_everywhere<std::uint16_t>(Dtype::kBf16, 0x7f7f, 0x7fc0);
}

TEST(AllFinite, IntegersAreFiniteAndNoAlignmentIsNeeded) {
  const std::vector<std::uint32_t> ones(8, 0xffffffff);
  for (const auto dtype : {Dtype::kI64, Dtype::kI32, Dtype::kI16, Dtype::kI8, Dtype::kU8})
    EXPECT_TRUE(all_finite(dtype, std::as_bytes(std::span(ones))));
  std::vector<std::byte> shifted(4 * 1500 + 1);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(&shifted[1 + 4 * 1200], &nan, sizeof nan);
  EXPECT_FALSE(all_finite(Dtype::kF32, std::span(shifted).subspan(1)));
  EXPECT_TRUE(all_finite(Dtype::kF32, {}));
}

TEST(Misfits, AreListedInBothDirectionsByName) {
  const std::vector<TensorInfo> checkpoint = {{"z", Dtype::kF32, {1}},
                                              {"same", Dtype::kF32, {2}},
                                              {"shape", Dtype::kF32, {3, 4}},
                                              {"dtype", Dtype::kF32, {}}};
  const std::vector<TensorInfo> model = {{"dtype", Dtype::kI64, {}},
                                         {"same", Dtype::kF32, {2}},
                                         {"shape", Dtype::kF32, {4, 3}},
                                         {"a", Dtype::kF32, {1}}};
  EXPECT_EQ(
      misfits({"3@1200", "checkpoint", checkpoint}, model, {}),
      (std::vector<std::string>{"a: in the model, not in the checkpoint",
                                "dtype: F32 [] in the checkpoint, I64 [] in the model",
                                "shape: F32 [3, 4] in the checkpoint, F32 [4, 3] in the model",
                                "z: in the checkpoint, not in the model"}));
  EXPECT_TRUE(misfits({"3@1200", "checkpoint", checkpoint}, checkpoint, {}).empty());
}

TEST(RequireFit, ListsAllOfThem) {
  std::vector<TensorInfo> many;
  for (int i = 10; i < 33; ++i)
    many.push_back({"t" + std::to_string(i), Dtype::kF32, {1}});
  const auto text = error_of(ErrorCode::kMismatch, [&] {
    require_fit({"3@1200", "checkpoint", many}, std::vector<TensorInfo>{}, {});
  });
  EXPECT_TRUE(
      text.starts_with("3@1200 does not fit the model:\n"
                       "  t10: in the checkpoint, not in the model\n"))
      << text;
  EXPECT_TRUE(text.ends_with("\n  t32: in the checkpoint, not in the model")) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 23);
}

TEST(RequireFit, WhereFewTensorsDifferItNamesTheWayToLeaveThemOut) {
  const std::vector<TensorInfo> offered = {{"model.a", Dtype::kF32, {1}},
                                           {"model.b", Dtype::kF32, {1}},
                                           {"model.head", Dtype::kF32, {1}}};
  auto model = offered;
  model.pop_back();
  EXPECT_TRUE(error_of(ErrorCode::kMismatch, [&] {
                require_fit({"w", "file", offered}, model, {});
              }).ends_with("\nwhat should not be loaded can be named in restore.exclude"));
}

TEST(RequireFit, ARestoreOfNothingIsAnError) {
  const std::vector<TensorInfo> all = {{"model.a", Dtype::kF32, {1}},
                                       {"optimizer.b.momentum_buffer", Dtype::kF32, {1}}};
  require_fit({"1@10", "checkpoint", all}, all, {true, {}});
  require_fit({"1@10", "checkpoint", all}, all, {false, {"model.a"}});
  for (const auto& selection :
       {Selection{true, {"*"}}, Selection{true, {"model.*"}}, Selection{false, {"*"}}})
    EXPECT_EQ(error_of(ErrorCode::kMismatch,
                       [&] {
                         require_fit({"1@10", "checkpoint", all}, all, selection);
                       }),
              "restore.exclude leaves nothing of 1@10 to load; to start anew write restore: fresh");
}

std::string ground_of(const CheckpointId& id, TestState& state, std::int64_t position = 16) {
  return common_ground(id, position, state.view(), compared_contents(state.view()));
}

TEST(CommonGround, NamesTheIntegerBufferThatDiffers) {
  const std::vector<SectionPlan> plans = {
      {{{"buffer.x", Dtype::kI64, {2}}, {"buffer.n", Dtype::kI64, {}}}, true},
      {{{"model.w", Dtype::kF32, {3}}}, true},
      {{{"optimizer.w.count", Dtype::kI32, {3}}}, false}};
  TestState state(plans, {0, 1}, 1);
  const auto ground = ground_of({3, 1200}, state);
  require_common_ground(ground, ground);

  state.bytes()[1][0] ^= std::byte{1};  // a float, equal by construction
  state.bytes()[2][0] ^= std::byte{1};  // a part, of which there is no other copy
  require_common_ground(ground_of({3, 1200}, state), ground);

  state.bytes()[0][16] ^= std::byte{1};
  const auto text = error_of(ErrorCode::kMismatch, [&] {
    require_common_ground(ground_of({3, 1200}, state), ground);
  });
  EXPECT_TRUE(text.starts_with("buffer.n has other values than on rank 0")) << text;
}

TEST(CommonGround, NamesTheFloatThatOthersCodeHasLeftDiffering) {
  TestState state({{{{"model.w", Dtype::kF32, {3}}}, true}}, {0, 1}, 1);
  state.view().sections[0].compared = true;
  const auto ground = ground_of({3, 1200}, state);
  state.bytes()[0][5] ^= std::byte{1};
  EXPECT_TRUE(error_of(ErrorCode::kMismatch, [&] {
                require_common_ground(ground_of({3, 1200}, state), ground);
              }).starts_with("model.w has other values"));
}

TEST(CommonGround, NamesThePositionsWhereTheyDiffer) {
  TestState state({{{{"model.w", Dtype::kF32, {3}}}, true}}, {0, 1}, 1);
  EXPECT_TRUE(
      error_of(ErrorCode::kMismatch, [&] {
        require_common_ground(ground_of({3, 2}, state, 24), ground_of({3, 2}, state, 16));
      }).starts_with("position 24 in the data differs from rank 0's, 16: completed() must"));
}

TEST(CommonGround, NamesTheCheckpointAndTheTensorsWhereTheseDiffer) {
  TestState state({{{{"buffer.x", Dtype::kI64, {2}}}, true}}, {0, 1}, 1);
  TestState other({{{{"buffer.y", Dtype::kI64, {2}}}, true}}, {0, 1}, 1);
  const auto ground = ground_of({3, 1200}, state);
  EXPECT_EQ(error_of(ErrorCode::kInternal,
                     [&] {
                       require_common_ground(ground_of({3, 1300}, state), ground);
                     }),
            "'checkpoint 3@1300' differs from rank 0's 'checkpoint 3@1200'");
  EXPECT_TRUE(error_of(ErrorCode::kInternal, [&] {
                require_common_ground(ground_of({3, 1200}, other), ground);
              }).starts_with("'tensors "));
  EXPECT_TRUE(error_of(ErrorCode::kInternal, [&] {
                require_common_ground("", ground);
              }).starts_with("'' differs from rank 0's 'checkpoint"));
}

}  // namespace
}  // namespace lockstep
