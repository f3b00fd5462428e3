#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/manifest.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Shard {
  std::string head;
  SafetensorsHeader header;
  ShardDescription description;
  std::uint64_t bytes = 0;
};

std::uint64_t data_bytes(const std::vector<Piece>& pieces) {
  std::uint64_t bytes = 0;
  for (const Piece& piece : pieces)
    bytes += static_cast<std::uint64_t>(piece.count) * bytes_of(piece.dtype);
  return bytes;
}

// Three sections of odd sizes, an empty tensor and a scalar among them.
Manifest manifest_for(std::int64_t world_size) {
  Manifest manifest;
  manifest.checkpoint = {.attempt = 3, .iteration = 1200};
  manifest.world_size = world_size;
  manifest.tensors = {{.name = "n", .dtype = Dtype::kI64, .shape = {}},
                      {.name = "a", .dtype = Dtype::kF32, .shape = {3, 5}},
                      {.name = "empty", .dtype = Dtype::kF32, .shape = {4, 0}},
                      {.name = "b", .dtype = Dtype::kF32, .shape = {1}},
                      {.name = "c", .dtype = Dtype::kF32, .shape = {7, 11}},
                      {.name = "d", .dtype = Dtype::kF32, .shape = {2}},
                      {.name = "e", .dtype = Dtype::kBool, .shape = {13}}};
  manifest.partition = {{.tensors = 1, .elements = 1},
                        {.tensors = 5, .elements = 95},
                        {.tensors = 0, .elements = 0},
                        {.tensors = 1, .elements = 13}};
  return manifest;
}

Shard shard_of(const Manifest& manifest, std::int64_t index) {
  Shard shard;
  shard.description = {.attempt = manifest.checkpoint.attempt,
                       .iteration = manifest.checkpoint.iteration,
                       .index = index,
                       .count = manifest.world_size,
                       .pieces = expected_pieces(manifest, index),
                       .checksums = {}};
  const std::uint64_t data = data_bytes(shard.description.pieces);
  if (data > 0) shard.description.checksums = {7};
  shard.head = encode_shard_header(shard.description);
  shard.bytes = shard.head.size() + data;
  shard.header = parse_safetensors_header(std::as_bytes(std::span(shard.head)), shard.bytes, "f");
  return shard;
}

// A manifest with its shards filled in.
Manifest complete_manifest(std::int64_t world_size) {
  Manifest manifest = manifest_for(world_size);
  for (std::int64_t i = 0; i < world_size; ++i) {
    const Shard shard = shard_of(manifest, i);
    manifest.shards.push_back({.file = shard_file({.index = i, .count = world_size}),
                               .bytes = shard.bytes,
                               .header_digest = shard.header.digest});
  }
  return manifest;
}

TEST(ExpectedPieces, CoverEveryElementOnceAscendingWithTheRank) {
  for (std::int64_t world = 1; world <= 120; world = world < 9 ? world + 1 : world * 2 + 1) {
    const Manifest manifest = manifest_for(world);
    std::map<std::string, std::int64_t> covered;
    std::vector<std::string> order;
    for (std::int64_t rank = 0; rank < world; ++rank) {
      std::map<std::string, int> here;
      for (const Piece& piece : expected_pieces(manifest, rank)) {
        EXPECT_EQ(++here[piece.name], 1) << "more than one piece of " << piece.name;
        EXPECT_GT(piece.count, 0);
        EXPECT_EQ(piece.first, covered[piece.name])
            << piece.name << " on rank " << rank << " of " << world;
        covered[piece.name] += piece.count;
      }
    }
    for (const TensorInfo& tensor : manifest.tensors) {
      EXPECT_EQ(covered[tensor.name], elements(tensor)) << tensor.name << " of " << world;
    }
  }
}

TEST(ExpectedPieces, AreInTheOrderOfTheTensorsWithTheirDtype) {
  const std::vector<Piece> pieces = expected_pieces(manifest_for(1), 0);
  ASSERT_EQ(pieces.size(), 6U);  // the empty tensor is nowhere
  const char* names[] = {"n", "a", "b", "c", "d", "e"};
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(pieces[i].name, names[i]);
  EXPECT_EQ(pieces[0].dtype, Dtype::kI64);
  EXPECT_EQ(pieces[5].dtype, Dtype::kBool);
  EXPECT_EQ(pieces[3].count, 77);
}

TEST(CheckShard, TakesWhatThePartitionGivesForEveryWorldSize) {
  for (std::int64_t world = 1; world <= 9; ++world) {
    const Manifest manifest = complete_manifest(world);
    EXPECT_NO_THROW(encode_manifest(manifest));
    for (std::int64_t i = 0; i < world; ++i) {
      const Shard shard = shard_of(manifest, i);
      const ShardDescription read = describe_shard(shard.header, "f");
      EXPECT_NO_THROW(check_shard(manifest, i, shard.header, read, shard.bytes, "f"));
    }
  }
}

TEST(CheckShard, RefusesEveryOtherShard) {
  const Manifest manifest = complete_manifest(5);
  for (std::int64_t expected = 0; expected < 5; ++expected) {
    for (std::int64_t index = 0; index < 5; ++index) {
      const Shard shard = shard_of(manifest, index);
      if (index == expected) continue;
      error_of(ErrorCode::kDamaged, [&] {
        check_shard(manifest, expected, shard.header, shard.description, shard.bytes, "f");
      });
    }
  }
}

TEST(CheckShard, RefusesWhatDiffersInAnyPoint) {
  using Change = std::function<void(Manifest&, Shard&)>;
  const std::vector<std::pair<Change, std::string>> bad = {
      {[](Manifest&, Shard& s) { ++s.bytes; }, "bytes, expected"},
      {[](Manifest&, Shard& s) { --s.bytes; }, "bytes, expected"},
      {[](Manifest&, Shard& s) { ++s.header.data_bytes; }, "bytes, expected"},
      {[](Manifest& m, Shard&) { ++m.shards[1].bytes; }, "bytes, expected"},
      {[](Manifest&, Shard& s) { s.header.digest[0] ^= 1; }, "digest"},
      {[](Manifest& m, Shard&) { m.shards[1].header_digest[31] ^= 1; }, "digest"},
      {[](Manifest&, Shard& s) { ++s.description.attempt; },
       "is a shard of 4@1200, expected 3@1200"},
      {[](Manifest&, Shard& s) { ++s.description.iteration; },
       "is a shard of 3@1201, expected 3@1200"},
      {[](Manifest&, Shard& s) { ++s.description.index; },
       "is shard-00002-of-00003.safetensors, expected shard-00001"},
      {[](Manifest&, Shard& s) { ++s.description.count; }, "-of-00004"},
      {[](Manifest&, Shard& s) { s.description.pieces.pop_back(); }, "other pieces"},
      {[](Manifest&, Shard& s) { s.description.pieces.push_back(s.description.pieces[0]); },
       "other pieces"},
      {[](Manifest&, Shard& s) { std::swap(s.description.pieces[0], s.description.pieces[1]); },
       "other pieces"},
      {[](Manifest&, Shard& s) { s.description.pieces[0].name += "x"; }, "other pieces"},
      {[](Manifest&, Shard& s) { ++s.description.pieces[0].first; }, "other pieces"},
      {[](Manifest&, Shard& s) { --s.description.pieces[0].count; }, "other pieces"},
      {[](Manifest&, Shard& s) { s.description.pieces[0].dtype = Dtype::kI32; }, "other pieces"}};
  for (std::size_t row = 0; row < bad.size(); ++row) {
    Manifest manifest = complete_manifest(3);
    Shard shard = shard_of(manifest, 1);
    bad[row].first(manifest, shard);
    const std::string error = error_of(ErrorCode::kDamaged, [&] {
      check_shard(manifest, 1, shard.header, shard.description, shard.bytes, "f");
    });
    EXPECT_THAT(error, StartsWith("f: ")) << "row " << row;
    EXPECT_THAT(error, HasSubstr(bad[row].second)) << "row " << row;
  }
}

TEST(CheckShard, AnIndexBeyondTheWorldIsABug) {
  const Manifest manifest = complete_manifest(2);
  const Shard shard = shard_of(manifest, 1);
  for (const std::int64_t index : {-1, 2}) {
    error_of(ErrorCode::kInternal, [&] {
      check_shard(manifest, index, shard.header, shard.description, shard.bytes, "f");
    });
  }
}

}  // namespace
}  // namespace lockstep
