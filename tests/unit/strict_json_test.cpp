#include "common/strict_json.h"

#include <cstring>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/json_members.h"
#include "common/json_writing.h"
#include "common/sealed_json.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::expect_every_damage_is_seen;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(StrictJson, ReadsWhatJsonIs) {
  const json value = parse_strict_json(
      R"( {"a": [1, -2, 2.5, true, false, null, "x\u00e4\n"], "b": {"a": {}}, "c": 18446744073709551615} )",
      "t");
  EXPECT_EQ(
      value,
      json::parse(
          R"({"a":[1,-2,2.5,true,false,null,"xä\n"],"b":{"a":{}},"c":18446744073709551615})"));
  EXPECT_EQ(parse_strict_json("7", "t"), 7);
  EXPECT_EQ(parse_strict_json("[]", "t"), json::array());
  EXPECT_EQ(parse_strict_json("[[1],[2,[3]],{}]", "t").dump(), "[[1],[2,[3]],{}]");
}

TEST(StrictJson, RefusesAllElse) {
  const std::string bad[] = {"",
                             " ",
                             "{",
                             "}",
                             "{]",
                             "[1,]",
                             "[,1]",
                             "[1 2]",
                             R"({"a"})",
                             R"({"a":})",
                             R"({"a":1,})",
                             "{a:1}",
                             "{'a':1}",
                             R"({1:1})",
                             "nul",
                             "NaN",
                             "[Infinity]",
                             "[-Infinity]",
                             "[1e999]",
                             "[-1e999]",
                             "[01]",
                             "[+1]",
                             "[.5]",
                             "[1.]",
                             "[0x10]",
                             "[--1]",
                             "1 2",
                             "{}{}",
                             "{} x",
                             "[]]",
                             "// c\n{}",
                             "/* c */{}",
                             "[1]//",
                             R"({"a":1,"a":1})",
                             R"({"a":1,"\u0061":2})",
                             R"([{"b":{"c":1,"d":2,"c":3}}])",
                             R"(["\x"])",
                             R"(["\ud800"])",
                             R"(["\ud800\u0041"])",
                             R"(["\udc00"])",
                             "[\"\n\"]",
                             "[\"a",
                             "[\"\x80\"]",
                             "[\"\xC0\x80\"]",
                             "[\"\xED\xA0\x80\"]",
                             "[\"\xF5\x80\x80\x80\"]",
                             "[\"\xC3\"]",
                             "\xEF\xBB\xBF{}",
                             "\xFF\xFE{}",
                             std::string("{}\0", 3),
                             std::string("{}\0{}", 5),
                             std::string("\0{}", 3),
                             std::string("[\"\0\"]", 5),
                             "{}\x0B",
                             "\x0C{}"};
  for (const std::string& text : bad) {
    const std::string error =
        error_of(ErrorCode::kDamaged, [&] { parse_strict_json(text, "/s/claim.json"); });
    EXPECT_THAT(error, StartsWith("/s/claim.json: ")) << text;
    EXPECT_THAT(error, Not(HasSubstr("json.exception"))) << text;
    EXPECT_THAT(error, Not(HasSubstr("syntax error"))) << text;
  }
}

TEST(StrictJson, NamesWhatIsWrong) {
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [] { parse_strict_json(R"({"a":1,"a":2})", "f"); }),
            "f: holds a key twice");
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [] { parse_strict_json("[[[1]]]", "f", 2); }),
            "f: is nested too deep");
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [] { parse_strict_json("[1,x]", "f"); }),
            "f: is no valid JSON");
}

TEST(StrictJson, NestingHasALimit) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_NO_THROW(parse_strict_json(nested(16), "t"));
  EXPECT_THROW(parse_strict_json(nested(17), "t"), Error);
  EXPECT_THROW(parse_strict_json(nested(1'000'000), "t"), Error);
  EXPECT_THROW(parse_strict_json(std::string(1'000'000, '['), "t"), Error);
  EXPECT_NO_THROW(parse_strict_json(R"({"a":[1]})", "t", 2));
  EXPECT_THROW(parse_strict_json(R"({"a":[{}]})", "t", 2), Error);
}

TEST(StrictJson, MembersAreCheckedForTheirType) {
  const json object = parse_strict_json(
      R"({"int":7,"max":9223372036854775807,"over":9223372036854775808,"minus":-1,"float":1.0,
          "text":"x","yes":true,"null":null,"ints":[1,2],"texts":["a"],"mixed":[1,"a",-1],"object":{}})",
      "t");
  EXPECT_EQ(integer_member(object, "int", "t"), 7);
  EXPECT_EQ(integer_member(object, "max", "t"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(number_member(object, "float", "t"), 1.0);
  EXPECT_EQ(number_member(object, "minus", "t"), -1.0);
  EXPECT_EQ(text_member(object, "text", "t"), "x");
  EXPECT_TRUE(bool_member(object, "yes", "t"));
  EXPECT_EQ(optional_integer_member(object, "null", "t"), std::nullopt);
  EXPECT_EQ(optional_integer_member(object, "int", "t"), 7);
  EXPECT_EQ(optional_text_member(object, "null", "t"), std::nullopt);
  EXPECT_EQ(optional_text_member(object, "text", "t"), "x");
  EXPECT_EQ(integers_member(object, "ints", "t"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(texts_member(object, "texts", "t"), (std::vector<std::string>{"a"}));
  for (const char* key :
       {"over", "minus", "float", "text", "yes", "null", "ints", "object", "absent"}) {
    EXPECT_THROW(integer_member(object, key, "t"), Error) << key;
    if (std::string_view(key) != "null") {
      EXPECT_THROW(optional_integer_member(object, key, "t"), Error) << key;
    }
  }
  for (const char* key : {"int", "yes", "null", "texts", "object", "absent"}) {
    EXPECT_THROW(text_member(object, key, "t"), Error) << key;
    EXPECT_THROW(bool_member(object, key == std::string_view("yes") ? "int" : key, "t"), Error)
        << key;
    EXPECT_THROW(integers_member(object, key, "t"), Error) << key;
  }
  EXPECT_THROW(number_member(object, "text", "t"), Error);
  EXPECT_THROW(integers_member(object, "mixed", "t"), Error);
  EXPECT_THROW(texts_member(object, "mixed", "t"), Error);
  EXPECT_THROW(object_member(object, "ints", "t"), Error);
  EXPECT_THROW(array_member(object, "object", "t"), Error);
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [&] { integer_member(object, "absent", "f"); }),
            "f: absent is missing");
  EXPECT_EQ(error_of(ErrorCode::kDamaged, [&] { member(json::array(), "a", "f"); }),
            "f: is no JSON object");
}

TEST(StrictJson, DoublesComeBackExactly) {
  for (const double value : {0.1, 1.0 / 3.0, 1e-310, 5e-324, std::numeric_limits<double>::max(),
                             -0.0, 1e22, 123456789.0, 0.30000000000000004, 9007199254740993.0}) {
    const double back = number_member(unseal(seal({{"x", value}}), "t"), "x", "t");
    EXPECT_EQ(std::memcmp(&back, &value, sizeof value), 0) << value;
  }
}

TEST(SealedRecord, ComesBackWithoutItsDigest) {
  const json object = {{"b", 1}, {"a", {{"digest", "inner"}}}};
  const std::string text = seal(object);
  EXPECT_EQ(text,
            R"({"a":{"digest":"inner"},"b":1,"digest":")" + digest128(object.dump()) + "\"}\n");
  EXPECT_EQ(unseal(text, "t"), object);
}

TEST(SealedRecord, ComesBackWhereverTheDigestStands) {
  for (const auto& object : {json::object(), json{{"a", 1}}, json{{"z", 1}},
                             json{{"a", "b"}, {"digesu", 1}, {"z", {{"digest", 1}}}}})
    EXPECT_EQ(unseal(seal(object), "t"), object);
}

TEST(SealedRecord, AnOpaqueMemberComesAsItsText) {
  const json inner = {{"x", {1, 2.5, "q\"\n\u00e4\\", "\\\\", "\\\"", "{[,]}", "", nullptr}},
                      {"y", {}}};
  for (const auto& object :
       {json{{"a", inner}, {"b", {{"a", 1}}}}, json{{"0", {{"a", 7}}}, {"a", inner}},
        json{{"0", "a"}, {"1", "\"a\":"}, {"a", inner}, {"z", "\\"}}, json{{"a", "{\"a\":1}"}},
        json{{"a", 12}, {"z", 1}}}) {
    const auto read = unseal(seal(object), "t", "a");
    EXPECT_EQ(text_member(read, "a", "t"), dump_json(object["a"]));
    for (const auto& [key, value] : object.items())
      EXPECT_TRUE(key == "a" || read[key] == value) << "only of the outermost object";
  }
}

TEST(SealedRecord, EveryTruncationAndEveryBitFlipIsSeen) {
  expect_every_damage_is_seen(seal({{"a", 1.5}, {"z", "text"}, {"list", {1, true, nullptr}}}),
                              [](const std::string& text) { unseal(text, "t"); });
}

TEST(SealedRecord, ADigestInAnotherFormIsNoDigestOfNothing) {
  EXPECT_THROW(unseal("{\"a\":1,\"digest\" :\"" + digest128("") + "\"}\n", "t"), Error);
}

TEST(SealedRecord, OtherTextOfTheSameMeaningIsRefused) {
  const std::string text = seal({{"a", 1}});
  EXPECT_THROW(unseal(" " + text, "t"), Error);
  EXPECT_THROW(unseal(text.substr(0, text.size() - 1), "t"), Error);
  EXPECT_THROW(unseal("{\"a\":1}", "t"), Error);
  EXPECT_THROW(unseal("{\"a\":1,\"digest\":7}\n", "t"), Error);
  EXPECT_THROW(unseal("[]\n", "t"), Error);
  for (const char* from : {"\"digest\":", "{\"a\"", ",\"digest", "}\n"}) {
    for (const char* white : {" ", "\n", "\t"}) {
      auto other = text;
      other.insert(other.find(from) + 1, white);
      EXPECT_THROW(unseal(other, "t"), Error) << other;
    }
  }
}

TEST(SealedRecord, AnInnerDigestIsNotTheRecordsOwn) {
  const json inner = {{"digest", digest128(std::string_view("x"))}};
  EXPECT_EQ(unseal(seal({{"a", inner}, {"z", inner}}), "t"), (json{{"a", inner}, {"z", inner}}));
  // The record's own is missing, whatever stands further in.
  EXPECT_THROW(unseal(dump_json({{"a", inner}}) + "\n", "t"), Error);
}

TEST(SealedRecord, TextThatIsNoUtf8IsABugOfTheWriter) {
  error_of(ErrorCode::kInternal, [] { seal({{"a", "\xFF"}}); });
  error_of(ErrorCode::kInternal, [] { object_of_text("[]", "config"); });
  error_of(ErrorCode::kInternal, [] { object_of_text("{", "config"); });
}

}  // namespace
}  // namespace lockstep
