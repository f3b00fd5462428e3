#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/safetensors.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::StartsWith;

constexpr std::size_t kDataBytes = 24;

ShardDescription small_shard() {
  return {.attempt = 3,
          .iteration = 1200,
          .index = 1,
          .count = 2,
          .pieces = {{.name = "model.w", .dtype = Dtype::kF32, .first = 5, .count = 4},
                     {.name = "buffer.n", .dtype = Dtype::kI64, .first = 0, .count = 1}},
          .checksums = {0x0123456789abcdefU}};
}

SafetensorsHeader header_of(const std::string& head, std::size_t data_bytes = kDataBytes) {
  return parse_safetensors_header(std::as_bytes(std::span(head)), head.size() + data_bytes, "f");
}

TEST(ShardHeader, ComesBack) {
  const ShardDescription shard = small_shard();
  const std::string head = encode_shard_header(shard);
  EXPECT_EQ(head.size(), kDataAlignment);
  const ShardDescription back = describe_shard(header_of(head), "f");
  EXPECT_EQ(back.attempt, 3);
  EXPECT_EQ(back.iteration, 1200);
  EXPECT_EQ(back.index, 1);
  EXPECT_EQ(back.count, 2);
  EXPECT_THAT(back.checksums, ElementsAre(0x0123456789abcdefU));
  ASSERT_EQ(back.pieces.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.pieces[i].name, shard.pieces[i].name);
    EXPECT_EQ(back.pieces[i].dtype, shard.pieces[i].dtype);
    EXPECT_EQ(back.pieces[i].first, shard.pieces[i].first);
    EXPECT_EQ(back.pieces[i].count, shard.pieces[i].count);
  }
}

TEST(ShardHeader, AShardMayHoldNothing) {
  const std::string head = encode_shard_header(
      {.attempt = 1, .iteration = 0, .index = 8, .count = 9, .pieces = {}, .checksums = {}});
  const ShardDescription back = describe_shard(header_of(head, 0), "f");
  EXPECT_TRUE(back.pieces.empty());
  EXPECT_TRUE(back.checksums.empty());
}

TEST(ShardHeader, HasAChecksumForEachBlockOfItsData) {
  for (const auto& [elements, blocks] : std::vector<std::pair<std::int64_t, std::size_t>>{
           {1, 1}, {(4 << 20) - 1, 1}, {4 << 20, 1}, {(4 << 20) + 1, 2}, {12 << 20, 3}}) {
    ShardDescription shard = small_shard();
    shard.pieces = {{.name = "b", .dtype = Dtype::kU8, .first = 0, .count = elements}};
    shard.checksums.assign(blocks, 7);
    const std::string head = encode_shard_header(shard);
    EXPECT_EQ(
        describe_shard(header_of(head, static_cast<std::size_t>(elements)), "f").checksums.size(),
        blocks);
    shard.checksums.assign(blocks + 1, 7);
    error_of(ErrorCode::kInternal, [&] { encode_shard_header(shard); });
    shard.checksums.assign(blocks - 1, 7);
    error_of(ErrorCode::kInternal, [&] { encode_shard_header(shard); });
  }
}

TEST(ShardHeader, PiecesThatAreNoRangesAreABugOfTheWriter) {
  for (const auto& [first, count] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{-1, 4}, {0, 0}, {0, -1}}) {
    ShardDescription shard = small_shard();
    shard.pieces[0].first = first;
    shard.pieces[0].count = count;
    error_of(ErrorCode::kInternal, [&] { encode_shard_header(shard); });
  }
  ShardDescription twice = small_shard();
  twice.pieces[1].name = twice.pieces[0].name;
  error_of(ErrorCode::kInternal, [&] { encode_shard_header(twice); });
}

TEST(ShardHeader, EveryTruncationOfTheFileIsSeen) {
  const std::string file = encode_shard_header(small_shard()) + std::string(kDataBytes, 'x');
  for (std::size_t size = 0; size < file.size(); ++size) {
    const std::string cut = file.substr(0, size);
    error_of(ErrorCode::kDamaged,
             [&] { parse_safetensors_header(std::as_bytes(std::span(cut)), cut.size(), "f"); });
  }
}

TEST(ShardHeader, EveryBitFlipChangesTheDigestOrIsRefused) {
  const std::string head = encode_shard_header(small_shard());
  const std::string digest = header_of(head).digest;
  int accepted = 0;
  for (std::size_t bit = 0; bit < head.size() * 8; ++bit) {
    std::string flipped = head;
    flipped[bit / 8] =
        static_cast<char>(static_cast<unsigned char>(flipped[bit / 8]) ^ (1U << (bit % 8)));
    try {
      const SafetensorsHeader header = header_of(flipped);
      describe_shard(header, "f");
      ++accepted;
      EXPECT_NE(header.digest, digest) << bit;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kDamaged) << bit;
    }
  }
  EXPECT_LT(accepted,
            400);  // digits of numbers and checksums, letters of names: the digest's to see
}

// The header of small_shard with one metadata entry, or one shape, replaced.
SafetensorsHeader altered(const std::string& key, const std::string& value) {
  SafetensorsHeader header = header_of(encode_shard_header(small_shard()));
  if (value == "absent") {
    header.metadata.erase(key);
  } else {
    header.metadata[key] = value;
  }
  return header;
}

TEST(ShardHeader, MetadataThatDoesNotFitIsRefused) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"lockstep.shard", "absent"},
      {"lockstep.shard", ""},
      {"lockstep.shard", "[]"},
      {"lockstep.shard", "{}"},
      {"lockstep.shard", R"({"attempt":0,"iteration":1200,"index":1,"count":2})"},
      {"lockstep.shard", R"({"attempt":3,"iteration":-1,"index":1,"count":2})"},
      {"lockstep.shard", R"({"attempt":3,"iteration":1200,"index":2,"count":2})"},
      {"lockstep.shard", R"({"attempt":3,"iteration":1200,"index":0,"count":0})"},
      {"lockstep.shard", R"({"attempt":3,"iteration":1200,"index":1})"},
      {"lockstep.shard", R"({"attempt":3,"attempt":3,"iteration":1200,"index":1,"count":2})"},
      {"lockstep.shard", R"({"attempt":"3","iteration":1200,"index":1,"count":2})"},
      {"lockstep.pieces", "absent"},
      {"lockstep.pieces", "{}"},
      {"lockstep.pieces", "[[5,4],[0,1]]"},
      {"lockstep.pieces", R"({"model.w":[5,4]})"},
      {"lockstep.pieces", R"({"model.w":[5,4],"buffer.n":[0,1],"more":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[5,4],"other":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[5,3],"buffer.n":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[5,5],"buffer.n":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[-5,4],"buffer.n":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[5],"buffer.n":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[5,4,0],"buffer.n":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[5.0,4],"buffer.n":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":{},"buffer.n":[0,1]})"},
      {"lockstep.pieces", R"({"model.w":[9223372036854775807,4],"buffer.n":[0,1]})"},
      {"lockstep.checksums", "absent"},
      {"lockstep.checksums", ""},
      {"lockstep.checksums", "0123456789abcde"},
      {"lockstep.checksums", "0123456789ABCDEF"},
      {"lockstep.checksums", "0123456789abcdefg"},
      {"lockstep.checksums", "0123456789abcdeg"},
      {"lockstep.checksums", "0123456789abcdef0123456789abcdef"}};
  for (const auto& [key, value] : bad) {
    const SafetensorsHeader header = altered(key, value);
    EXPECT_THAT(error_of(ErrorCode::kDamaged, [&] { describe_shard(header, "f"); }),
                StartsWith("f: "))
        << key << " " << value;
  }
}

TEST(ShardHeader, EntriesThatAreNotOneDimensionalAreRefused) {
  SafetensorsHeader header = header_of(encode_shard_header(small_shard()));
  header.tensors[0].shape = {2, 2};
  error_of(ErrorCode::kDamaged, [&] { describe_shard(header, "f"); });
  header.tensors[0].shape = {};
  error_of(ErrorCode::kDamaged, [&] { describe_shard(header, "f"); });
}

}  // namespace
}  // namespace lockstep
