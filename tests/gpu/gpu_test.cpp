// What only a GPU can show: memory that the host can't look into, NCCL, streams. Without one on
// every rank all of it is skipped, on all ranks alike.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/agree.h"
#include "common/partition.h"
#include "tests/support/test_state.h"
#include "worker/accelerator.h"
#include "worker/collectives.h"
#include "worker/host_share.h"
#include "worker/mpi_collectives.h"
#include "worker/nccl_collectives.h"
#include "worker/shard_data.h"

namespace lockstep {
namespace {

constexpr std::int64_t kLengths[] = {0, 1, 4, 1000, 100'003, 5'000'000};

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    // agree() and root_decides() are what NCCL's shared object looks for in this program.
    const auto why_none = agree(comm, "look for GPUs", load_gpu_support);
    root_decides(comm, "begin", [] { return std::string(); });
    std::vector<double> ranks = {why_none.empty() ? 1.0 : 0.0};
    sum_over_ranks(comm, ranks);
    if (ranks[0] < comm.size()) GTEST_SKIP() << "a rank has no GPU: " << why_none;
    const auto host = host_share(comm);
    shared = host.ranks > visible_gpus();
    accelerator =
        std::make_unique<Accelerator>("cuda:" + std::to_string(host.index % visible_gpus()));
  }

  // NCCL's where it allows, and MPI's through the host's memory.
  std::vector<std::unique_ptr<Collectives>> all_kinds() const {
    const std::vector<std::int64_t> sums(std::begin(kLengths), std::end(kLengths));
    std::vector<std::unique_ptr<Collectives>> kinds;
    kinds.push_back(make_collectives(comm, {.accelerator = accelerator.get(), .sums = sums}));
    std::vector<double> sharing = {shared ? 1.0 : 0.0};
    sum_over_ranks(comm, sharing);
    const auto nccl = load_nccl();
    EXPECT_NE(nccl.module, nullptr) << nccl.why_none;
    if (sharing[0] == 0 && nccl.module != nullptr)
      kinds.push_back(make_collectives(
          comm, {.accelerator = accelerator.get(), .nccl = nccl.module, .sums = sums}));
    return kinds;
  }

  std::span<float> filled(const Accelerator::Memory& memory,
                          const std::vector<float>& values) const {
    const std::span<float> there(memory.get(), values.size());
    accelerator->copy_in(values, there);
    return there;
  }
  std::vector<float> values_of(std::span<const float> there) const {
    std::vector<float> values(there.size());
    accelerator->copy_out(there, values);
    return values;
  }

  const Comm comm = Comm::duplicate(MPI_COMM_WORLD);
  bool shared = false;
  std::unique_ptr<Accelerator> accelerator;
};

TEST_F(Gpu, SumsAreScattered) {
  for (const auto& collectives : all_kinds()) {
    for (const auto n : kLengths) {
      const auto own = part_of(n, {.index = comm.rank(), .count = comm.size()});
      std::vector<float> mine(static_cast<std::size_t>(n));
      for (std::size_t i = 0; i < mine.size(); ++i)
        mine[i] = static_cast<float>(i % 97) * static_cast<float>(comm.rank() + 1);
      const auto all_memory = accelerator->allocate(n);
      const auto own_memory = accelerator->allocate(own.count + 1);
      const auto all = filled(all_memory, mine);
      const std::span<float> sums(own_memory.get(), static_cast<std::size_t>(own.count));
      collectives->start_sum(all, sums)->wait();
      const auto ranks = static_cast<float>(comm.size() * (comm.size() + 1) / 2);
      const auto values = values_of(sums);
      for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(values[i],
                  ranks * static_cast<float>((own.first + static_cast<std::int64_t>(i)) % 97))
            << n;
    }
  }
}

TEST_F(Gpu, PartsAreGatheredAndValuesAveraged) {
  for (const auto& collectives : all_kinds()) {
    for (const auto n : kLengths) {
      const auto own = part_of(n, {.index = comm.rank(), .count = comm.size()});
      std::vector<float> mine(static_cast<std::size_t>(n), -1);
      for (std::int64_t i = own.first; i < own.end(); ++i)
        mine[static_cast<std::size_t>(i)] = static_cast<float>(i % 101);
      const auto memory = accelerator->allocate(n);
      const auto there = filled(memory, mine);
      collectives->all_gather(there);
      const auto gathered = values_of(there);
      for (std::size_t i = 0; i < gathered.size(); ++i)
        ASSERT_EQ(gathered[i], static_cast<float>(i % 101)) << n;

      filled(memory,
             std::vector<float>(static_cast<std::size_t>(n), static_cast<float>(2 * comm.rank())));
      collectives->average(there);
      for (const auto value : values_of(there))
        ASSERT_FLOAT_EQ(value, static_cast<float>(comm.size() - 1)) << n;
    }
  }
}

// What is computed behind an all-gather sees its result, without a wait of the host's.
TEST_F(Gpu, WhatIsComputedIsInOrderWithWhatIsExchanged) {
  constexpr std::int64_t kMany = 5'000'000;
  for (const auto& collectives : all_kinds()) {
    const auto own = part_of(kMany, {.index = comm.rank(), .count = comm.size()});
    std::vector<float> mine(static_cast<std::size_t>(kMany), 0);
    std::fill_n(mine.begin() + own.first, own.count, 2.0F);
    const auto memory = accelerator->allocate(kMany);
    const auto there = filled(memory, mine);
    collectives->all_gather(there);
    EXPECT_DOUBLE_EQ(accelerator->sum_of_squares({there}), 4.0 * kMany);
  }
}

TEST_F(Gpu, AShardsBlocksAreThoseOfTheHost) {
  testing::TestState state({{{{"model.w", Dtype::kF32, {3 * (1 << 20)}}}, true}},
                           {.index = 0, .count = 1}, 1);
  auto& view = state.view();
  const ShardData host(view, {.index = 0, .count = 1});
  const auto& bytes = state.bytes()[0];
  const auto memory = accelerator->allocate(3 * (1 << 20));
  accelerator->copy_in({reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)},
                       {memory.get(), bytes.size() / sizeof(float)});
  view.sections[0].data = reinterpret_cast<std::byte*>(memory.get());
  view.accelerator = accelerator.get();
  const ShardData there(view, {.index = 0, .count = 1});
  for (std::size_t block = 0; block < host.blocks(); ++block) {
    std::vector<std::byte> of_host(host.bytes_of(block));
    std::vector<std::byte> of_there(of_host.size());
    EXPECT_EQ(there.copy(block, of_there).checksum, host.copy(block, of_host).checksum);
    EXPECT_EQ(of_there, of_host);
  }
}

}  // namespace
}  // namespace lockstep
