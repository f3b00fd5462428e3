#include "worker/batch_feed.h"

#include <atomic>
#include <mutex>
#include <thread>

#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/toy_task.h"
#include "worker/precision.h"

namespace lockstep {
namespace {

using ::testing::ElementsAreArray;

using Samples = std::vector<std::int64_t>;

struct Copied final : Inputs {
  Samples samples;
};

class FetchingTask : public testing::ToyTask {
 public:
  bool fetches() const override { return true; }
  std::unique_ptr<Inputs> fetch(std::span<const std::int64_t> samples) override {
    const std::lock_guard lock(mutex);
    ++fetched;
    if (fetched == fails_at) throw Error(ErrorCode::kIo, "can't be read");
    threads.push_back(std::this_thread::get_id());
    auto inputs = std::make_unique<Copied>();
    inputs->samples.assign(samples.begin(), samples.end());
    return inputs;
  }

  std::mutex mutex;
  int fetched = 0;
  int fails_at = 0;
  std::vector<std::thread::id> threads;
};

// Of rank 1 of 3, whose slice of a batch of 11 is 4.
constexpr Share kRank{.index = 1, .count = 3};
constexpr std::int64_t kStart = 95;  // the data set holds 100

Config config_of(std::optional<std::int64_t> micro_batch) {
  Config config;
  config.data.global_batch = 11;
  config.data.micro_batch = micro_batch;
  config.run.seed = 5;
  return config;
}

Samples slice_at(std::int64_t position) {
  return samples_of_slice({.seed = 5, .length = 100}, position, batch_slice(11, kRank));
}

TEST(BatchFeed, GivesEachIterationsSliceWhole) {
  testing::ToyTask task;
  BatchFeed feed(config_of({}), task, kRank, kStart);
  for (std::int64_t i = 0; i < 5; ++i) {
    const auto next = feed.next();
    EXPECT_EQ(next.samples, slice_at(kStart + 11 * i));
    EXPECT_TRUE(next.first && next.last);
    EXPECT_EQ(next.inputs, nullptr);
  }
}

TEST(BatchFeed, MicroBatchesAreTheSliceInPieces) {
  testing::ToyTask task;
  BatchFeed feed(config_of(3), task, kRank, kStart);
  for (std::int64_t i = 0; i < 5; ++i) {
    const auto one = feed.next();
    const auto other = feed.next();
    EXPECT_EQ(one.samples.size(), 3U);
    auto both = one.samples;
    both.insert(both.end(), other.samples.begin(), other.samples.end());
    EXPECT_EQ(both, slice_at(kStart + 11 * i));
    EXPECT_TRUE(one.first && !one.last && !other.first && other.last);
  }
}

TEST(BatchFeed, FetchesEachBatchOnceInAnotherThreadAndOneAhead) {
  FetchingTask task;
  {
    BatchFeed feed(config_of(3), task, kRank, kStart);
    for (int i = 0; i < 6; ++i) {
      const auto next = feed.next();
      EXPECT_THAT(dynamic_cast<const Copied&>(*next.inputs).samples,
                  ElementsAreArray(next.samples));
      const std::lock_guard lock(task.mutex);
      EXPECT_THAT(task.fetched, ::testing::AnyOf(i + 1, i + 2));
    }
  }
  EXPECT_EQ(task.fetched, 7);
  EXPECT_EQ(std::ranges::count(task.threads, std::this_thread::get_id()), 1) << "the first alone";
}

TEST(BatchFeed, AFailureIsThrownWhereItsBatchIsAskedFor) {
  FetchingTask task;
  task.fails_at = 3;
  BatchFeed feed(config_of({}), task, kRank, kStart);
  feed.next();
  EXPECT_EQ(feed.next().samples, slice_at(kStart + 11));
  testing::error_of(ErrorCode::kIo, [&] { feed.next(); });
}

TEST(BatchFeed, NothingIsFetchedBehindTheEnd) {
  FetchingTask task;
  {
    BatchFeed feed(config_of(3), task, kRank, kStart, kStart + 22);
    for (int i = 0; i < 4; ++i)
      feed.next();
  }
  EXPECT_EQ(task.fetched, 4);
}

// The first batch is fetched in the training thread, all others are not: they must be made alike.
TEST(BatchFeed, FetchesInFp32WhateverTheTrainingThreadComputesIn) {
  struct Asking : FetchingTask {
    std::unique_ptr<Inputs> fetch(std::span<const std::int64_t> samples) override {
      any = any || at::autocast::is_autocast_enabled(at::kCPU);
      return FetchingTask::fetch(samples);
    }
    std::atomic<bool> any = false;
  } task;
  const Autocast bf16(true);
  BatchFeed feed(config_of(3), task, kRank, kStart, kStart + 22);
  for (int i = 0; i < 4; ++i)
    feed.next();
  EXPECT_FALSE(task.any);
  EXPECT_TRUE(at::autocast::is_autocast_enabled(at::kCPU)) << "and it does still";
}

}  // namespace
}  // namespace lockstep
