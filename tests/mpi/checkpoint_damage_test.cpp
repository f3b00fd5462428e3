// Damaged checkpoints: refused by name on every rank, and what was put into place before that
// is no hindrance to the next load.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_site.h"
#include "tests/support/fault_file_system.h"

namespace lockstep {
namespace {

using testing::agreed_failure;
using testing::Failure;
using ::testing::HasSubstr;
using testing::other_layout;
using testing::saved_layout;
using testing::share_of;
using testing::Site;
using ::testing::StartsWith;
using testing::TestState;

namespace fs = std::filesystem;

const CheckpointId kId{3, 1200};
const CheckpointId kOther{3, 1400};

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const std::string& path, const std::string& text) {
  fs::remove_all(path);
  std::ofstream(path, std::ios::binary) << text;
}

class CheckpointDamage : public ::testing::Test {
 protected:
  CheckpointDamage() {
    TestState state(saved_layout(), share_of(world), 1);
    site.save(world, *files, kId, state);
    TestState other(saved_layout(), share_of(world), 5);
    site.save(world, *files, kOther, other);
    manifest = site.manifest(kId);
  }

  std::string shard(std::int64_t index) const { return site.shard(kId, index, world.size()); }

  // Collective: loads into both layouts; the error is one of `index`'s shard; nullopt: of any,
  // since several are read at once.
  std::string refused(std::optional<std::int64_t> index) {
    std::string text;
    for (const auto& layout : {other_layout(), saved_layout()}) {
      TestState state(layout, share_of(world), 2);
      const auto failure = agreed_failure(world, [&] {
        load_checkpoint(world, *files, site.path(kId), manifest, {}, state.view());
      });
      EXPECT_EQ(failure.code, ErrorCode::kDamaged) << failure.text;
      EXPECT_THAT(failure.text, StartsWith("read shards: rank "));
      site.load(world, *files, kOther, state);
      EXPECT_EQ(state.bytes(), TestState(layout, share_of(world), 5).bytes());
      text = failure.text.substr(failure.text.find(": ", 13) + 2);
      EXPECT_THAT(text,
                  StartsWith("3@1200: shard " + (index ? std::to_string(*index) + ": " : "")));
    }
    return text;
  }

  // Collective: rank 0 damages the last shard's file, all are refused it, rank 0 puts it right.
  std::string refused_after(const std::function<void(const std::string&)>& damage) {
    const auto path = shard(world.size() - 1);
    const auto good = contents(path);
    testing::wait_for_all(world);
    if (world.is_root()) damage(path);
    testing::wait_for_all(world);
    auto text = refused(world.size() - 1);
    testing::wait_for_all(world);
    if (world.is_root()) put(path, good);
    testing::wait_for_all(world);
    return text;
  }

  void expect_good() {
    TestState state(other_layout(), share_of(world), 2);
    site.load(world, *files, kId, state);
    EXPECT_EQ(state.bytes(), TestState(other_layout(), share_of(world), 1).bytes());
  }

  Comm world = Comm::duplicate(MPI_COMM_WORLD);
  std::unique_ptr<FileSystem> files = make_posix_file_system();
  Site site{world, "damage"};
  Manifest manifest;
};

TEST_F(CheckpointDamage, AMissingShardIsNamed) {
  EXPECT_THAT(refused_after([](const std::string& path) { fs::remove(path); }),
              HasSubstr(": missing"));
  expect_good();
}

TEST_F(CheckpointDamage, ATruncatedOrLongerShardIsNamed) {
  const auto bytes = fs::file_size(shard(world.size() - 1));
  for (const std::uint64_t left : {bytes - 1, bytes - 100, std::uint64_t{4096}, std::uint64_t{9},
                                   std::uint64_t{0}, bytes + 1, bytes + 4096})
    EXPECT_THAT(
        refused_after([&](const std::string& path) { fs::resize_file(path, left); }),
        HasSubstr("has " + std::to_string(left) + " bytes, expected " + std::to_string(bytes)));
  expect_good();
}

TEST_F(CheckpointDamage, AFlippedBitAnywhereIsNamed) {
  const auto good = contents(shard(world.size() - 1));
  const auto header_end = good.find_last_of('}', 4095);
  std::vector<std::size_t> offsets = {
      0, 3, 7, 8, header_end, header_end + 1, 4095, 4096, 4097, good.size() - 1};
  for (std::size_t at = 11; at < good.size(); at += 151)
    offsets.push_back(at);
  for (const auto at : offsets) {
    SCOPED_TRACE("byte " + std::to_string(at) + " of " + std::to_string(good.size()));
    const auto text = refused_after([&](const std::string& path) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 4);
      put(path, bad);
    });
    if (at >= 4096) {
      EXPECT_THAT(text, HasSubstr("checksum of block 0 is "));
    }
  }
  expect_good();
}

TEST_F(CheckpointDamage, WhatIsNoShardInAShardsPlaceIsNamed) {
  const auto bytes = fs::file_size(shard(world.size() - 1));
  refused_after([&](const std::string& path) { put(path, "not a shard"); });
  refused_after([&](const std::string& path) { put(path, std::string(bytes, '\0')); });
  refused_after([&](const std::string& path) { put(path, std::string(bytes, 'x')); });
  refused_after([&](const std::string& path) {
    fs::remove(path);
    fs::create_directory(path);
  });
  refused_after([&](const std::string& path) {
    fs::rename(path, path + ".aside");
    fs::create_symlink(path + ".aside", path);
  });
  expect_good();
}

TEST_F(CheckpointDamage, AShardOfAnotherCheckpointIsNamed) {
  EXPECT_THAT(refused_after([&](const std::string& path) {
                put(path, contents(site.shard(kOther, world.size() - 1, world.size())));
              }),
              HasSubstr("is a shard of 3@1400, expected 3@1200"));
  expect_good();
}

TEST_F(CheckpointDamage, ShardsThatHaveChangedPlacesAreNamed) {
  if (world.size() == 1) return;
  const auto text = refused_after([&](const std::string& path) { put(path, contents(shard(0))); });
  EXPECT_THAT(text,
              ::testing::AnyOf(HasSubstr("is shard-00000-of-"), HasSubstr(" bytes, expected ")));
  expect_good();
}

TEST_F(CheckpointDamage, AManifestThatSaysOtherwiseThanTheShardsIsNamed) {
  const auto last = world.size() - 1;
  const auto good = manifest;
  auto& info = manifest.shards[static_cast<std::size_t>(last)];
  info.header_digest[5] = info.header_digest[5] == '0' ? '1' : '0';
  EXPECT_THAT(refused(last), HasSubstr("its header has digest "));
  manifest = good;
  info.bytes += 1;
  EXPECT_THAT(refused(last), HasSubstr("bytes, expected "));
  manifest = good;
  info.file = "shard-99999-of-00001.safetensors";
  EXPECT_THAT(refused(last), HasSubstr(": missing"));
  manifest = good;
  // Two tensors of one shape by each other's name: every size is right, the pieces are not.
  ASSERT_EQ(manifest.tensors[2].shape, manifest.tensors[7].shape);
  std::swap(manifest.tensors[2].name, manifest.tensors[7].name);
  EXPECT_THAT(refused(std::nullopt),
              HasSubstr("holds other pieces than the manifest's partition gives it"));
  manifest = good;
  expect_good();
}

TEST_F(CheckpointDamage, DoneWhileWritingIsFoundByTheLoad) {
  using testing::Fault;
  using testing::Op;
  testing::FaultFileSystem faulty(*files);
  const bool last = world.rank() == world.size() - 1;
  TestState state(saved_layout(), share_of(world), 1);
  CheckpointId id{4, 0};
  for (const auto fault : {Fault::kSilentTruncate, Fault::kFlipBit})
    for (const int nth : {1, 2}) {  // data, header
      ++id.iteration;
      if (last) faulty.fault_next(Op::kWriteAt, fault, nth, "shard-");
      site.save(world, faulty, id, state);
      TestState loaded(saved_layout(), share_of(world), 2);
      const auto failure = agreed_failure(world, [&] { site.load(world, *files, id, loaded); });
      EXPECT_EQ(failure.code, ErrorCode::kDamaged) << failure.text;
      EXPECT_EQ(failure.rank, world.size() - 1);
    }
  EXPECT_EQ(faulty.fired(), last ? 4 : 0);
}

}  // namespace
}  // namespace lockstep
