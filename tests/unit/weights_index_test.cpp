#include "coordinator/weights_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_weights_index(text, "i.json");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kDamaged);
    return e.what();
  }
  return "";
}

constexpr const char* kIndex =
    R"({"metadata": {"total_size": 12.5}, "weight_map": {"b": "2.safetensors", "a": "1.safetensors", "c": "1.safetensors"}})";

Weights two_files() {
  Weights weights;
  weights.files = {{"/w/1.safetensors", 1, ""}, {"/w/2.safetensors", 1, ""}};
  weights.tensors = {{{"a", Dtype::kF32, {1}}, 0, 0},
                     {{"b", Dtype::kF32, {1}}, 1, 0},
                     {{"c", Dtype::kF32, {1}}, 0, 4}};
  return weights;
}

TEST(WeightsIndex, ReadsWhatHuggingFaceWrites) {
  const auto index = parse_weights_index(kIndex, "i.json");
  EXPECT_EQ(index.files, (std::vector<std::string>{"1.safetensors", "2.safetensors"}));
  EXPECT_EQ(index.places.at("c"), "1.safetensors");
  require_as_indexed(index, two_files(), "i.json");
}

TEST(WeightsIndex, NothingInItIsTrusted) {
  EXPECT_NE(error_of("{}"), "");
  EXPECT_NE(error_of(R"({"weight_map": {}})"), "");
  EXPECT_NE(error_of(R"({"weight_map": {"a": 3}})"), "");
  EXPECT_NE(error_of(R"({"weight_map": {"a": "../x.safetensors"}})"), "");
  EXPECT_NE(error_of(R"({"weight_map": {"a": "/etc/x.safetensors"}})"), "");
  EXPECT_NE(error_of(R"({"weight_map": {"a": ".."}})"), "");
  EXPECT_NE(error_of(R"({"weight_map": {"a/b": "x.safetensors"}})"), "");
  EXPECT_NE(error_of(R"({"weight_map": {"a": "x", "a": "y"}})"), "");
}

TEST(WeightsIndex, ItsFilesMustHoldWhatItSays) {
  const auto index = parse_weights_index(kIndex, "i.json");
  auto weights = two_files();
  weights.tensors[0].tensor.name = "d";
  weights.tensors[2].file = 1;
  try {
    require_as_indexed(index, weights, "i.json");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kMismatch);
    EXPECT_THAT(e.what(), HasSubstr("d: in 1.safetensors, not there by the index"));
    EXPECT_THAT(e.what(), HasSubstr("c: in 2.safetensors, not there by the index"));
    EXPECT_THAT(e.what(), HasSubstr("a: by the index in 1.safetensors, not there"));
  }
}

}  // namespace
}  // namespace lockstep
