#include "common/names.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "common/error.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::array<std::int64_t, 9> kNumbers{
    0, 1, 7, 9'999, 10'000, 99'999, 1'234'567'890, 10'000'000'000, kMax};

TEST(Names, WhatIsBuiltIsParsedBackForEveryWidth) {
  for (const std::int64_t attempt : kNumbers) {
    if (attempt < 1) continue;
    EXPECT_EQ(parse_attempt_folder(attempt_folder(attempt)), attempt);
    for (const std::int64_t iteration : kNumbers) {
      const CheckpointId id{.attempt = attempt, .iteration = iteration};
      EXPECT_EQ(parse_checkpoint_id(to_text(id)), id);
      EXPECT_EQ(parse_checkpoint_folder(checkpoint_folder(id)), id);
      EXPECT_EQ(parse_partial_folder(partial_folder(id)), id);
      const auto trash = parse_trash_folder(
          trash_folder({.deleter = attempt, .nonce = "0123456789abcdef", .checkpoint = id}));
      ASSERT_TRUE(trash);
      EXPECT_EQ(trash->deleter, attempt);
      EXPECT_EQ(trash->nonce, "0123456789abcdef");
      EXPECT_EQ(trash->checkpoint, id);
    }
  }
}

TEST(Names, AreThoseOfTheFormat) {
  const CheckpointId id{.attempt = 3, .iteration = 1200};
  EXPECT_EQ(to_text(id), "3@1200");
  EXPECT_EQ(attempt_folder(7), "0007");
  EXPECT_EQ(attempt_folder(12'345), "12345");
  EXPECT_EQ(checkpoint_folder(id), "0003-0000001200");
  EXPECT_EQ(partial_folder(id), ".0003-0000001200.partial");
  EXPECT_EQ(trash_folder({.deleter = 7, .nonce = "01234567", .checkpoint = id}),
            ".trash-0007-01234567-0003-0000001200");
  EXPECT_EQ(shard_file({.index = 3, .count = 8}), "shard-00003-of-00008.safetensors");
  EXPECT_EQ(store_file("/s"), "/s/store.json");
  EXPECT_EQ(attempts_path("/s"), "/s/attempts");
  EXPECT_EQ(attempt_path("/s", 7), "/s/attempts/0007");
  EXPECT_EQ(checkpoint_path("/s", id), "/s/checkpoints/0003-0000001200");
  EXPECT_EQ(partial_path("/s", id), "/s/checkpoints/.0003-0000001200.partial");
  EXPECT_EQ(pins_path("/s"), "/s/pins");
}

TEST(Names, OfNegativeNumbersAreABug) {
  EXPECT_THROW(attempt_folder(-1), Error);
  EXPECT_THROW(checkpoint_folder({.attempt = 1, .iteration = -1}), Error);
}

TEST(Names, NumbersArePlainDecimal) {
  EXPECT_EQ(parse_number("0"), 0);
  EXPECT_EQ(parse_number("42"), 42);
  EXPECT_EQ(parse_number("9223372036854775807"), kMax);
  for (const char* bad : {"", "00", "007", "+7", "-7", "-0", " 7", "7 ", "7x", "0x7", "7.0", "1e3",
                          "1_000", "9223372036854775808", "99999999999999999999", "\xD9\xA7"}) {
    EXPECT_FALSE(parse_number(bad)) << bad;
  }
  EXPECT_FALSE(parse_number(std::string_view("7\0", 2)));
}

TEST(Names, ForeignCheckpointsAreNone) {
  for (const char* bad :
       {"", "@", "3@", "@1200", "3", "0@1200", "03@1200", "3@01200", "3@1200@", "3@@1200",
        "+3@1200", "3@-1", " 3@1200", "3@1200 ", "3@9223372036854775808", "3@1200\n"}) {
    EXPECT_FALSE(parse_checkpoint_id(bad)) << bad;
  }
}

TEST(Names, ForeignFoldersAreNone) {
  for (const char* bad : {"", "7", "007", "00007", "0000", "+007", " 007", "0007 ", "0007.partial",
                          "000a", "9223372036854775808"}) {
    EXPECT_FALSE(parse_attempt_folder(bad)) << bad;
  }
  for (const char* bad :
       {"", "-", "0003", "0003-", "-0000001200", "3-1200", "0003-1200", "0003-000001200",
        "0003-00000001200", "0000-0000001200", "00003-0000001200", "0003_0000001200",
        "0003-0000001200-", "0003-0000001200.old", "0003--000001200", "0003-+000001200",
        "0003-0000001200/", "0003-9223372036854775808", "0003-00000012x0"}) {
    EXPECT_FALSE(parse_checkpoint_folder(bad)) << bad;
    EXPECT_FALSE(parse_partial_folder("." + std::string(bad) + ".partial")) << bad;
    EXPECT_FALSE(parse_trash_folder(".trash-0007-01234567-" + std::string(bad))) << bad;
  }
  for (const char* bad :
       {"0003-0000001200", ".0003-0000001200", "0003-0000001200.partial", ".partial", "..partial",
        ".0003-0000001200.partial2", "..0003-0000001200.partial"}) {
    EXPECT_FALSE(parse_partial_folder(bad)) << bad;
  }
}

TEST(Names, ForeignTrashIsNone) {
  const std::string tail = "-0003-0000001200";
  for (const char* bad :
       {"", ".trash", ".trash-", ".trash-0007", ".trash-0007-", "trash-0007-01234567",
        ".trash-7-01234567", ".trash-0000-01234567", ".trash-0007-0123456", ".trash-0007-",
        ".trash-0007-0123456G", ".trash-0007-ABCDEF01",
        ".trash-0007-0123456789abcdef0123456789abcdef0", ".trash-0007-01234567-01234567"}) {
    EXPECT_FALSE(parse_trash_folder(bad + tail)) << bad;
  }
  EXPECT_TRUE(parse_trash_folder(".trash-0007-01234567" + tail));
}

TEST(Names, ForeignShardsAreNone) {
  const auto shard = parse_shard_file("shard-00003-of-00008.safetensors");
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->index, 3);
  EXPECT_EQ(shard->count, 8);
  EXPECT_TRUE(parse_shard_file("shard-00003-of-123456.safetensors"));
  for (const char* bad : {"", "shard-.safetensors", "shard-00008-of-00008.safetensors",
                          "shard-00000-of-00000.safetensors", "shard-3-of-8.safetensors",
                          "shard-0003-of-00008.safetensors", "shard-000003-of-00008.safetensors",
                          "shard-00003-of-8.safetensors", "shard-00003-of-000008.safetensors",
                          "shard-00003.safetensors", "shard-00003-of-00008.safetensors.tmp",
                          "Shard-00003-of-00008.safetensors", "shard--0003-of-00008.safetensors",
                          "shard-00003-of-00008", "../shard-00003-of-00008.safetensors",
                          "shard-00003-of-00008-of-00009.safetensors"}) {
    EXPECT_FALSE(parse_shard_file(bad)) << bad;
  }
}

}  // namespace
}  // namespace lockstep
