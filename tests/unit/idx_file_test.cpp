#include "worker/idx_file.h"

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "common/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

const std::vector<std::int64_t> kShape = {0, 2, 2};  // any number of 2 x 2

std::string idx(const std::vector<int>& extents, const std::string& values) {
  std::string text{0, 0, 8, static_cast<char>(extents.size())};
  for (const int extent : extents) {
    for (const int shift : {24, 16, 8, 0})
      text += static_cast<char>(extent >> shift & 255);
  }
  return text + values;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(text.size() + 100, '\0');
  std::string copy = text;
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

void put(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

const std::string kGood = idx({2, 2, 2}, "abcdefgh");

TEST(IdxFile, IsReadPackedOrPlainUnderEitherName) {
  for (const auto& content : {kGood, gzip(kGood)}) {
    for (const char* name : {"x", "x.gz"}) {
      const TemporaryFolder folder;
      put(folder / name, content);
      const IdxFile file = read_idx_file(folder.path(), "x", kShape);
      EXPECT_THAT(file.shape, ElementsAre(2, 2, 2));
      EXPECT_EQ(std::string(file.values.begin(), file.values.end()), "abcdefgh");
    }
  }
}

TEST(IdxFile, AbsentOneIsNamedWithAdvice) {
  const TemporaryFolder folder;
  const auto text =
      error_of(ErrorCode::kNotFound, [&] { read_idx_file(folder.path(), "x", kShape); });
  EXPECT_THAT(text, HasSubstr(folder / "x"));
  EXPECT_THAT(text, HasSubstr("data.path"));
}

TEST(IdxFile, AFolderInItsPlaceCannotBeRead) {
  const TemporaryFolder folder;
  error_of(ErrorCode::kInvalidConfig, [&] { read_idx_file("/", "proc", kShape); });
}

TEST(IdxFile, EveryKindOfDamageIsNamed) {
  std::string flipped = gzip(kGood);
  flipped[flipped.size() - 6] = static_cast<char>(flipped[flipped.size() - 6] ^ 1);  // its checksum
  const std::string packed = gzip(kGood);
  const std::vector<std::string> bad = {
      "",
      "abc",
      kGood.substr(0, 10),                  // ends within the header
      kGood.substr(0, kGood.size() - 1),    // too short
      kGood + "x",                          // too long
      idx({2, 2, 3}, "abcdefghijkl"),       // other extents
      idx({4, 2}, "abcdefgh"),              // other dimensions
      idx({0, 2, 2}, ""),                   // no item
      idx({-1, 2, 2}, "abcdefgh"),          // 2^32 - 1 items
      "\0\0\x0d\x03" + kGood.substr(4),     // floats
      packed.substr(0, packed.size() - 9),  // cut within the data
      packed.substr(0, packed.size() - 3),  // cut within the checksum
      packed + "x",
      packed + packed,
      flipped,
      gzip(kGood + "x"),
  };
  for (const auto& content : bad) {
    const TemporaryFolder folder;
    put(folder / "x.gz", content);
    const auto text =
        error_of(ErrorCode::kDamaged, [&] { read_idx_file(folder.path(), "x", kShape); });
    EXPECT_THAT(text, HasSubstr(folder / "x.gz")) << content;
  }
}

}  // namespace
}  // namespace lockstep
