#include "worker/accelerator.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/test_state.h"
#include "tests/support/toy_task.h"
#include "worker/shard_data.h"
#include "worker/training_state.h"

// LibTorch's "cpu" stands for a GPU's memory: the same calls, of which none looks into it.
namespace lockstep {
namespace {

using testing::TestState;
using testing::ToyTask;

TEST(Accelerator, ValuesMoveInAndOut) {
  const Accelerator accelerator("cpu");
  std::vector<float> values(1000);
  std::iota(values.begin(), values.end(), 1.0F);
  const auto memory = accelerator.allocate(1000);
  const std::span<float> there(memory.get(), 1000);
  EXPECT_EQ(accelerator.sum_of_squares({there}), 0) << "it begins with zeros";
  accelerator.copy_in(values, there);
  EXPECT_EQ(accelerator.sum_of_squares({there.first(3), there.subspan(3, 0), there.subspan(3, 1)}),
            1 + 4 + 9 + 16);
  std::vector<float> back(500);
  accelerator.copy_out(there.subspan(250, 500), back);
  EXPECT_EQ(back.front(), 251);
  EXPECT_EQ(back.back(), 750);
}

TEST(Accelerator, AStateMovesWithItsValues) {
  ToyTask task;
  TrainingState state(task, {}, 7, {.index = 0, .count = 1});
  for (auto& slot : state.slots())
    std::ranges::fill(slot.parts[0].all(), 3.0F);
  const std::vector<float> before(state.parameters().begin(), state.parameters().end());
  const auto* old_place = state.parameters().data();
  const auto loss = task.evaluate({.first = 0, .count = 10}).loss;
  const auto names = tensors_digest(state.view());

  const Accelerator accelerator("cpu");
  state.move_to(accelerator, task);
  EXPECT_NE(state.parameters().data(), old_place);
  EXPECT_TRUE(std::ranges::equal(state.parameters(), before));
  EXPECT_EQ(state.slots()[1].parts[0].all()[0], 3.0F);
  EXPECT_EQ(task.evaluate({.first = 0, .count = 10}).loss, loss) << "the task is bound to it";
  EXPECT_EQ(tensors_digest(state.view()), names);
  EXPECT_EQ(reinterpret_cast<const float*>(state.view().sections[0].data),
            state.parameters().data());
}

// Elements of every width, which blocks cut in two, as a shard of a GPU's state has them.
TEST(Accelerator, AShardsBlocksAreThoseOfTheHost) {
  const std::int64_t many = 3 * (1 << 20);
  TestState state({{{{"buffer.odd", Dtype::kU8, {3}}}, true},
                   {{{"model.w", Dtype::kF32, {many}}}, true},
                   {{{"buffer.n", Dtype::kI64, {1000}}}, true}},
                  {.index = 0, .count = 1}, 1);
  auto& view = state.view();
  view.sections[2].changes_in_forward = true;
  const ShardData host(view, {.index = 0, .count = 1});
  const Accelerator accelerator("cpu");
  view.accelerator = &accelerator;
  ShardData there(view, {.index = 0, .count = 1});
  there.keep_what_forward_changes();
  std::ranges::fill(state.bytes()[2], std::byte{0});  // forward goes on
  ASSERT_GT(host.blocks(), 2U);
  ASSERT_EQ(there.blocks(), host.blocks());

  const auto expect_equal = [&](std::size_t block) {
    if (block + 1 == host.blocks()) return;  // the spoilt one: `there` alone has what it was
    std::vector<std::byte> of_host(host.bytes_of(block));
    std::vector<std::byte> of_there(of_host.size());
    const auto expected = host.copy(block, of_host);
    const auto seen = there.copy(block, of_there);
    EXPECT_EQ(seen.checksum, expected.checksum);
    EXPECT_EQ(seen.finite, expected.finite);
    EXPECT_EQ(of_there, of_host);
  };
  std::vector<std::jthread> threads;
  for (std::size_t block = 0; block < host.blocks(); ++block)
    threads.emplace_back(expect_equal, block);
}

TEST(Accelerator, WhatForwardChangesIsKept) {
  TestState state({{{{"buffer.mean", Dtype::kF32, {5000}}}, true}}, {.index = 0, .count = 1}, 1);
  auto& view = state.view();
  view.sections[0].changes_in_forward = true;
  const Accelerator accelerator("cpu");
  view.accelerator = &accelerator;
  ShardData data(view, {.index = 0, .count = 1});
  std::vector<std::byte> before(data.bytes_of(0));
  const auto seen = data.copy(0, before);
  data.keep_what_forward_changes();
  std::ranges::fill(state.bytes()[0], std::byte{0});
  std::vector<std::byte> after(before.size());
  EXPECT_EQ(data.copy(0, after).checksum, seen.checksum);
  EXPECT_EQ(after, before);
}

}  // namespace
}  // namespace lockstep
