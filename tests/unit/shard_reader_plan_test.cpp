#include <algorithm>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/test_state.h"
#include "worker/shard_reader.h"

namespace lockstep {
namespace {

using testing::SectionPlan;
using testing::TestState;

using Bytes = std::vector<std::byte>;

// A manifest for these sections as `shards` ranks write it.
Manifest manifest_of(const std::vector<SectionPlan>& plans, std::int64_t shards) {
  Manifest manifest;
  manifest.checkpoint = {3, 1200};
  describe_state(TestState(plans, {0, shards}, 0).view(), shards, manifest);
  manifest.shards.resize(static_cast<std::size_t>(shards));
  return manifest;
}

std::vector<Piece> wanted_by(const std::vector<SectionPlan>& plans, Share rank) {
  return expected_pieces(manifest_of(plans, rank.count), rank.index);
}

// This rank's own bytes of all sections, in order: a shard's data, and what a load must stage.
Bytes own_data(const std::vector<SectionPlan>& plans, Share rank) {
  TestState state(plans, rank, 7);
  Bytes data;
  for (const auto& section : state.view().sections) {
    const auto own = own_bytes(section, rank);
    data.insert(data.end(), own.begin(), own.end());
  }
  return data;
}

TEST(PlanReads, SameWorldAndOrderIsOneRangeOfTheOwnShard) {
  const std::vector<SectionPlan> plans = {
      {{{"a", Dtype::kF32, {8}}, {"b", Dtype::kF32, {4, 2}}}, true},
      {{{"c", Dtype::kU8, {5}}}, true}};
  const auto plan = plan_reads(manifest_of(plans, 2), wanted_by(plans, {1, 2}));
  EXPECT_EQ(plan.bytes, 35U);
  EXPECT_EQ(plan.shards, (std::vector<ShardReads>{{1, {{0, 0, 35}}}}));
}

TEST(PlanReads, SectionsAfterTheFirstBeginBehindTheShardsPartOfThoseBefore) {
  const std::vector<SectionPlan> plans = {{{{"a", Dtype::kF32, {5}}}, true},
                                          {{{"c", Dtype::kU8, {3}}}, true}};
  // Shard 0: a[0, 2), c[0, 1). Shard 1: a[2, 5), c[1, 3).
  const auto plan = plan_reads(manifest_of(plans, 2), wanted_by(plans, {0, 1}));
  EXPECT_EQ(plan.shards, (std::vector<ShardReads>{{0, {{0, 0, 8}, {8, 20, 1}}},
                                                  {1, {{0, 8, 12}, {12, 21, 2}}}}));
}

TEST(PlanReads, AnotherOrderOfTensorsIsFoundByName) {
  const TensorInfo a{"a", Dtype::kF32, {2}};
  const TensorInfo b{"b", Dtype::kF32, {3}};
  const auto plan =
      plan_reads(manifest_of({{{a, b}, true}}, 1), wanted_by({{{b, a}, true}}, {0, 1}));
  EXPECT_EQ(plan.shards, (std::vector<ShardReads>{{0, {{0, 12, 8}, {8, 0, 12}}}}));
}

TEST(PlanReads, EmptyShardsAreNotOpened) {
  const std::vector<SectionPlan> plans = {{{{"a", Dtype::kF32, {2}}}, true}};
  const auto plan = plan_reads(manifest_of(plans, 5), wanted_by(plans, {0, 1}));
  EXPECT_EQ(plan.shards, (std::vector<ShardReads>{{2, {{0, 0, 4}}}, {4, {{0, 4, 4}}}}));
}

TEST(PlanReads, ARankThatOwnsNothingReadsNothing) {
  const std::vector<SectionPlan> plans = {{{{"a", Dtype::kF32, {2}}}, true}};
  const auto plan = plan_reads(manifest_of(plans, 1), wanted_by(plans, {0, 5}));
  EXPECT_TRUE(plan.shards.empty());
  EXPECT_EQ(plan.bytes, 0U);
}

TEST(PlanReads, APieceThatTheCheckpointLacksIsAMismatch) {
  const auto manifest = manifest_of({{{{"a", Dtype::kF32, {2}}}, true}}, 1);
  const std::vector<Piece> bad = {
      {"b", Dtype::kF32, 0, 1}, {"a", Dtype::kI32, 0, 1}, {"a", Dtype::kF32, 1, 2}};
  for (const auto& piece : bad) {
    try {
      plan_reads(manifest, std::span(&piece, 1));
      ADD_FAILURE() << "no error for " << piece.name;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kMismatch);
      EXPECT_EQ(std::string(e.what()), "3@1200 has no such piece of " + piece.name);
    }
  }
}

// Random tensors, as sections in random order.
std::vector<SectionPlan> random_sections(std::mt19937& random) {
  std::vector<SectionPlan> plans;
  int next = 0;
  for (const auto dtype : {Dtype::kI64, Dtype::kF32, Dtype::kF32, Dtype::kI16, Dtype::kU8}) {
    SectionPlan plan{{}, random() % 2 == 0};
    const auto tensors = 1 + random() % 5;
    for (std::size_t i = 0; i < tensors; ++i) {
      const auto rows = static_cast<std::int64_t>(random() % 4);
      const auto columns = static_cast<std::int64_t>(1 + random() % 9);
      plan.tensors.push_back({"t" + std::to_string(next++), dtype, {rows, columns}});
    }
    plans.push_back(plan);
  }
  return plans;
}

void reorder(std::vector<SectionPlan>& plans, std::mt19937& random) {
  std::ranges::shuffle(plans, random);
  for (auto& plan : plans)
    std::ranges::shuffle(plan.tensors, random);
  if (random() % 2 == 0 || plans.front().tensors.size() < 2) return;
  SectionPlan split{{plans.front().tensors.back()}, true};
  plans.front().tensors.pop_back();
  plans.push_back(split);
}

// Does what a plan says and counts how often each byte of each shard is taken.
Bytes follow(const ReadPlan& plan, const std::vector<Bytes>& shards,
             std::vector<std::vector<int>>& taken) {
  Bytes staging(plan.bytes);
  std::int64_t last_shard = -1;
  for (const auto& [shard, ranges] : plan.shards) {
    EXPECT_GT(shard, last_shard);
    last_shard = shard;
    const auto index = static_cast<std::size_t>(shard);
    std::uint64_t last_end = 0;
    for (const auto& range : ranges) {
      EXPECT_GE(range.from, last_end);
      EXPECT_GT(range.bytes, 0U);
      last_end = range.from + range.bytes;
      for (std::uint64_t i = 0; i < range.bytes; ++i) {
        staging.at(range.to + i) = shards.at(index).at(range.from + i);
        ++taken.at(index).at(range.from + i);
      }
    }
  }
  return staging;
}

TEST(PlanReads, AnyWorldReadsWhatAnyOtherWroteEachByteOnce) {
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same cases each time
  for (int round = 0; round < 200; ++round) {
    const auto saved = random_sections(random);
    auto today = saved;
    reorder(today, random);
    const auto writers = static_cast<std::int64_t>(1 + random() % 7);
    const auto readers = static_cast<std::int64_t>(1 + random() % 7);
    std::vector<Bytes> shards;
    std::vector<std::vector<int>> taken;
    for (std::int64_t i = 0; i < writers; ++i) {
      shards.push_back(own_data(saved, {i, writers}));
      taken.emplace_back(shards.back().size());
    }
    const auto manifest = manifest_of(saved, writers);
    for (std::int64_t i = 0; i < readers; ++i) {
      const auto plan = plan_reads(manifest, wanted_by(today, {i, readers}));
      EXPECT_EQ(follow(plan, shards, taken), own_data(today, {i, readers}))
          << "round " << round << ", rank " << i << " of " << readers;
    }
    for (const auto& shard : taken)
      EXPECT_TRUE(std::ranges::all_of(shard, [](int n) { return n == 1; })) << "round " << round;
  }
}

}  // namespace
}  // namespace lockstep
