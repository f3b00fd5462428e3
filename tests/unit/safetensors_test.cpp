#include "common/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/digest.h"
#include "common/error.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string file_of(const std::string& json, std::size_t data_bytes) {
  const std::uint64_t length = json.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + json + std::string(data_bytes, 'x');
}

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors_header(std::as_bytes(std::span(file)), file.size(), "f");
}

// {"a": an F32 tensor of two elements} with parts replaced.
std::string entry(const std::string& dtype = R"("F32")", const std::string& shape = "[2]",
                  const std::string& offsets = "[0,8]") {
  return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(SafetensorsHeader, ReadsEntriesInTheOrderOfTheirData) {
  const SafetensorsHeader header = parse(file_of(
      R"({"b":{"dtype":"I64","shape":[2,1],"data_offsets":[4,20]}, "__metadata__":{"format":"pt","":"x"},)"
      R"("empty":{"shape":[0,3],"data_offsets":[4,4],"dtype":"U8"},)"
      R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"s":{"dtype":"BOOL","shape":[],"data_offsets":[20,21]}}   )",
      21));
  ASSERT_EQ(header.tensors.size(), 4U);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[0].dtype, Dtype::kBf16);
  EXPECT_EQ(header.tensors[1].name, "empty");
  EXPECT_EQ(header.tensors[2].name, "b");
  EXPECT_THAT(header.tensors[2].shape, ElementsAre(2, 1));
  EXPECT_EQ(header.tensors[2].begin, 4U);
  EXPECT_EQ(header.tensors[2].end, 20U);
  EXPECT_EQ(header.tensors[3].name, "s");
  EXPECT_EQ(header.metadata, (std::map<std::string, std::string>{{"format", "pt"}, {"", "x"}}));
  EXPECT_EQ(header.data_bytes, 21U);
  EXPECT_EQ(parse(file_of("{}", 0)).tensors.size(), 0U);
}

TEST(SafetensorsHeader, EveryDtypeHasItsSizeAndName) {
  for (const auto& [dtype, text, bytes] :
       std::vector<std::tuple<Dtype, std::string, std::size_t>>{{Dtype::kF64, "F64", 8},
                                                                {Dtype::kF32, "F32", 4},
                                                                {Dtype::kF16, "F16", 2},
                                                                {Dtype::kBf16, "BF16", 2},
                                                                {Dtype::kI64, "I64", 8},
                                                                {Dtype::kI32, "I32", 4},
                                                                {Dtype::kI16, "I16", 2},
                                                                {Dtype::kI8, "I8", 1},
                                                                {Dtype::kU8, "U8", 1},
                                                                {Dtype::kBool, "BOOL", 1}}) {
    EXPECT_EQ(to_text(dtype), text);
    EXPECT_EQ(parse_dtype(text), dtype);
    EXPECT_EQ(bytes_of(dtype), bytes);
  }
  for (const char* bad : {"", "f32", "F32 ", "F8_E4M3", "FLOAT", "BOOLX"}) {
    error_of(ErrorCode::kDamaged, [&] { parse_dtype(bad); });
  }
}

TEST(SafetensorsHeader, JsonThatBreaksARuleIsRefused) {
  const std::string a = R"({"a":)";
  const std::string bad[] = {
      "", " ", "{", "[]", "7", "null", " {}", "\n{}", "\xEF\xBB\xBF{}", "{}\n", "{}\t", "{}x",
      "{}{}", "{} {}", std::string("{}\0", 3), std::string("{}\0{}", 5), std::string("{}\0 ", 4),
      // duplicates, unknown fields, missing fields
      a + entry() + R"(,"a":)" + entry() + "}", a + entry() + R"(,"\u0061":)" + entry() + "}",
      R"({"__metadata__":{},"__metadata__":{}})", R"({"__metadata__":{"x":"1","x":"1"}})",
      a + R"({"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
      a + R"({"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})",
      a + R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"data_offsets":[0,8]}})",
      a + R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})",
      a + R"({"dtype":"F32","shape":[2]}})", a + R"({"dtype":"F32","data_offsets":[0,8]}})",
      a + R"({"shape":[2],"data_offsets":[0,8]}})", a + "{}}",
      a + entry(R"("F32")", "[1]", "[0,4]") + R"(,"a":)" + entry(R"("F32")", "[1]", "[4,8]") + "}",
      a + entry() + std::string("}\0{}", 4), a + entry() + "}{}", a + entry() + "},{}",
      // kinds
      a + "null}", a + "[]}", a + "7}", a + R"("F32"})", R"({"__metadata__":null})",
      R"({"__metadata__":[]})", R"({"__metadata__":{"x":1}})", R"({"__metadata__":{"x":null}})",
      R"({"__metadata__":{"x":{}}})", R"({"__metadata__":{"x":["y"]}})", a + entry("7") + "}",
      a + entry("null") + "}", a + entry("[\"F32\"]") + "}", a + entry("{}") + "}",
      a + entry(R"("F32")", "2") + "}", a + entry(R"("F32")", "{}") + "}",
      a + entry(R"("F32")", "\"2\"") + "}", a + entry(R"("F32")", "[[2]]") + "}",
      a + entry(R"("F32")", "[{}]") + "}", a + entry(R"("F32")", "[\"2\"]") + "}",
      a + entry(R"("F32")", "[2]", "8") + "}", a + entry(R"("F32")", "[2]", "[]") + "}",
      a + entry(R"("F32")", "[2]", "[0]") + "}", a + entry(R"("F32")", "[2]", "[0,8,8]") + "}",
      a + entry(R"("F32")", "[2]", "[0,[8]]") + "}",
      // numbers
      a + entry(R"("F32")", "[-2]") + "}", a + entry(R"("F32")", "[2.0]") + "}",
      a + entry(R"("F32")", "[2e0]") + "}", a + entry(R"("F32")", "[+2]") + "}",
      a + entry(R"("F32")", "[02]") + "}", a + entry(R"("F32")", "[true]") + "}",
      a + entry(R"("F32")", "[null]") + "}", a + entry(R"("F32")", "[2]", "[-0,8]") + "}",
      a + entry(R"("F32")", "[9223372036854775808]") + "}",
      a + entry(R"("F32")", "[18446744073709551618]") + "}",
      // dtype, shape against bytes, overflow
      a + entry(R"("F33")") + "}", a + entry(R"("f32")") + "}", a + entry(R"("F64")") + "}",
      a + entry(R"("F32")", "[3]") + "}", a + entry(R"("F32")", "[]") + "}",
      a + entry(R"("F32")", "[2,0]") + "}",
      a + entry(R"("F32")", "[4611686018427387906]") + "}",      // x 4 wraps round to 8
      a + entry(R"("F32")", "[4294967296,4294967296,2]") + "}",  // the product wraps round to 0
      a + entry(R"("F32")", "[0,9223372036854775807,4]") + "}",
      a + entry(R"("F32")", "[9223372036854775807,4,0]", "[0,0]") + "}",
      // order: hole, overlap, not from 0, backwards, data left over or missing
      a + entry(R"("F32")", "[2]", "[8,0]") + "}", a + entry(R"("F32")", "[2]", "[4,12]") + "}",
      a + entry(R"("F32")", "[1]", "[0,4]") + "}", a + entry(R"("F32")", "[4]", "[0,16]") + "}",
      "{}",
      a + entry(R"("F32")", "[1]", "[0,4]") + R"(,"b":)" + entry(R"("U8")", "[3]", "[5,8]") + "}",
      a + entry(R"("F32")", "[1]", "[0,4]") + R"(,"b":)" + entry(R"("U8")", "[5]", "[3,8]") + "}",
      a + entry(R"("F32")", "[2]", "[0,8]") + R"(,"b":)" + entry(R"("F32")", "[2]", "[0,8]") + "}",
      a + entry() + R"(,"b":)" + entry(R"("U8")", "[0]", "[4,4]") + "}",
      a + entry() + R"(,"b":)" + entry(R"("U8")", "[0]", "[9,9]") + "}"};
  for (const std::string& json : bad) {
    const std::string error = error_of(ErrorCode::kDamaged, [&] { parse(file_of(json, 8)); });
    EXPECT_THAT(error, StartsWith("f: ")) << json;
  }
  EXPECT_NO_THROW(parse(file_of(a + entry() + "}", 8)));
}

TEST(SafetensorsHeader, NamesThatCouldMisleadAreRefused) {
  const std::string bad[] = {"",           "a/b",
                             "..\\\\a",    "a\\nb",
                             "\\u0000",    "a\\u001b[31m",
                             "\\u007f",    "\\u0085",
                             "\\u009b31m", std::string(1025, 'n'),
                             "\xC3",       "\xFF"};
  for (const std::string& name : bad) {
    error_of(ErrorCode::kDamaged, [&] { parse(file_of("{\"" + name + "\":" + entry() + "}", 8)); });
  }
  for (const std::string& name :
       {std::string("model.\u00e4"), std::string(1024, 'n'), std::string("a b:c\u00a0")}) {
    EXPECT_NO_THROW(parse(file_of("{\"" + name + "\":" + entry() + "}", 8))) << name;
  }
}

TEST(SafetensorsHeader, TheProductOfAShapeIsChecked) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(elements_of(Shape{}), 1);
  EXPECT_EQ(elements_of(Shape{2, 3, 1}), 6);
  EXPECT_EQ(elements_of(Shape{0, kHuge, kHuge}), 0);
  EXPECT_EQ(elements_of(Shape(64, 1)), 1);
  for (const Shape& shape : {Shape{-1}, Shape{-1, -1}, Shape{0, -1}, Shape{kHuge, 2},
                             Shape{kHuge, kHuge, 0}, Shape(65, 1)}) {
    EXPECT_EQ(elements_of(shape), std::nullopt);
  }
}

TEST(SafetensorsHeader, ShapesMayHaveSixtyFourDimensions) {
  const auto ones = [](int count) {
    std::string shape = "[2";
    for (int i = 1; i < count; ++i)
      shape += ",1";
    return shape + "]";
  };
  EXPECT_NO_THROW(parse(file_of(R"({"a":)" + entry(R"("F32")", ones(64)) + "}", 8)));
  EXPECT_THROW(parse(file_of(R"({"a":)" + entry(R"("F32")", ones(65)) + "}", 8)), Error);
}

TEST(SafetensorsHeader, MetadataIsBounded) {
  std::string json = R"({"__metadata__":{"k0":"")";
  for (int i = 1; i < 4096; ++i)
    json += ",\"k" + std::to_string(i) + "\":\"\"";
  EXPECT_NO_THROW(parse(file_of(json + "}}", 0)));
  EXPECT_THROW(parse(file_of(json + ",\"one more\":\"\"}}", 0)), Error);
}

class TextFile final : public ReadableFile {
 public:
  explicit TextFile(std::string text) : text_(std::move(text)) {}
  std::uint64_t size() const override { return text_.size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    largest_read = std::max(largest_read, into.size());
    if (offset + into.size() > text_.size()) throw Error(ErrorCode::kDamaged, "read: ends before");
    std::memcpy(into.data(), text_.data() + offset, into.size());
  }
  mutable std::size_t largest_read = 0;

 private:
  std::string text_;
};

TEST(SafetensorsHeader, LengthsThatDoNotFitTheFileAreRefusedBeforeAnythingIsAllocated) {
  for (const std::uint64_t length :
       {std::uint64_t{3}, std::uint64_t{100'000'000}, std::uint64_t{100'000'001},
        std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max() - 7}) {
    std::string file = file_of("{}", 10'000);
    std::memcpy(file.data(), &length, 8);
    const TextFile source(file);
    error_of(ErrorCode::kDamaged, [&] { read_safetensors_header(source, "f"); });
    EXPECT_LE(source.largest_read, kDataAlignment);
  }
}

TEST(SafetensorsHeader, FilesOfOtherLibrariesAreNamed) {
  for (const auto& [begin, word] :
       std::vector<std::pair<std::string, std::string>>{{"PK\x03\x04", "torch.save"},
                                                        {"\x80\x02\x8a\x0a", "torch.save"},
                                                        {"\x89HDF\r\n", "HDF5"}}) {
    std::string file = file_of("{}", 10'000);
    file.replace(0, begin.size(), begin);
    const TextFile source(file);
    EXPECT_THAT(error_of(ErrorCode::kDamaged, [&] { read_safetensors_header(source, "f"); }),
                HasSubstr(word));
  }
}

std::vector<TensorEntry> two_tensors() {
  std::vector<TensorEntry> tensors(2);
  tensors[0].name = "z";
  tensors[0].shape = {2, 3};
  tensors[1].name = "a\"\u00e4";
  tensors[1].dtype = Dtype::kU8;
  tensors[1].shape = {5};
  return tensors;
}

TEST(SafetensorsHeader, WhatIsEncodedComesBackAlignedAndInOrder) {
  for (const std::uint64_t alignment : {1UL, 8UL, 512UL, 4096UL}) {
    auto tensors = two_tensors();
    const std::string head = encode_safetensors_header(tensors, {{"k", "v\n"}}, alignment);
    EXPECT_EQ(head.size() % alignment, 0U);
    const TextFile file(head + std::string(29, 'x'));
    const SafetensorsHeader header = read_safetensors_header(file, "f");
    EXPECT_EQ(header.data_begin, head.size());
    EXPECT_EQ(header.digest, digest128(head));
    EXPECT_EQ(header.metadata, (std::map<std::string, std::string>{{"k", "v\n"}}));
    ASSERT_EQ(header.tensors.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(header.tensors[i].name, tensors[i].name);
      EXPECT_EQ(header.tensors[i].dtype, tensors[i].dtype);
      EXPECT_EQ(header.tensors[i].shape, tensors[i].shape);
      EXPECT_EQ(header.tensors[i].begin, tensors[i].begin);
      EXPECT_EQ(header.tensors[i].end, tensors[i].end);
    }
    EXPECT_EQ(tensors[1].begin, 24U);
    EXPECT_EQ(tensors[1].end, 29U);
  }
}

TEST(SafetensorsHeader, NamesAreUtf8) {
  EXPECT_TRUE(is_tensor_name("model.größe"));
  EXPECT_FALSE(is_tensor_name("model.\xff"));
  EXPECT_FALSE(is_tensor_name("model.gr\xc3"));
  EXPECT_TRUE(is_plain_text("a/b"));
  EXPECT_FALSE(is_plain_text("a\nb"));
}

TEST(SafetensorsHeader, BadNamesAndShapesAreABugOfTheWriter) {
  for (const std::string& name :
       {std::string(), std::string("a/b"), std::string("a\n"), std::string("__metadata__"),
        std::string(1025, 'n'), std::string("\xFF"), std::string("z")}) {
    auto tensors = two_tensors();
    tensors[1].name = name;
    error_of(ErrorCode::kInternal, [&] { encode_safetensors_header(tensors, {}); });
  }
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{-1},
                                                 {std::int64_t{1} << 62, 4},
                                                 std::vector<std::int64_t>(65, 1)}) {
    auto tensors = two_tensors();
    tensors[1].shape = shape;
    error_of(ErrorCode::kInternal, [&] { encode_safetensors_header(tensors, {}); });
  }
}

TEST(SafetensorsHeader, TwelveThousandTensorsTakeMilliseconds) {
  std::vector<TensorEntry> tensors(12'000);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].name = "optimizer.layers." + std::to_string(i) + ".weight.exp_avg";
    tensors[i].shape = {7};
  }
  const std::string head = encode_safetensors_header(tensors, {});
  const auto bytes = std::as_bytes(std::span(head));
  EXPECT_EQ(parse_safetensors_header(bytes, head.size() + 12'000UL * 28, "f").tensors.size(),
            12'000U);
}

}  // namespace
}  // namespace lockstep
