#include "common/digest.h"

#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Digest, IsXxh3AsOtherToolsPrintIt) {  // xxhsum -H3 and -H128 of nothing
  EXPECT_EQ(hex64(checksum64({})), "2d06800538d394c2");
  EXPECT_EQ(digest128(std::string_view()), "99aa06d3014798d86001c324468d497f");
}

TEST(Digest, PiecesGiveTheChecksumOfTheWhole) {
  std::vector<std::byte> bytes(10'000);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(i * 31 % 251);
  Checksum checksum;
  for (const std::size_t piece : {1UL, 7UL, 240UL, 256UL, 4096UL, 10'000UL}) {
    checksum.reset();
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      checksum.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
      checksum.add({});
    }
    EXPECT_EQ(checksum.value(), checksum64(bytes)) << piece;
  }
}

TEST(Digest, HexDigitsComeBack) {
  for (const std::uint64_t value : {0ULL, 1ULL, 0xFFFFFFFFFFFFFFFFULL, 0x0123456789abcdefULL}) {
    EXPECT_EQ(parse_hex64(hex64(value)), value);
  }
  for (const char* bad :
       {"", "0", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0x23456789abcdef",
        " 123456789abcdef", "-123456789abcdef", "0123456789abcdeg"}) {
    EXPECT_FALSE(parse_hex64(bad)) << bad;
  }
  EXPECT_FALSE(is_hex(""));
  EXPECT_FALSE(is_hex("ab c"));
}

}  // namespace
}  // namespace lockstep
