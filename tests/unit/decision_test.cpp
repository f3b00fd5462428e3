#include "common/decision.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/sealed_json.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::expect_every_damage_is_seen;
using ::testing::StartsWith;

DecisionRecord small_record() {
  return {
      .kind = DecisionKind::kRestore,
      .attempt = 7,
      .parent = Parent{.checkpoint = {.attempt = 6, .iteration = 1200}, .store = std::nullopt},
      .source = "weights.safetensors",
      .request = R"({"attempt":null,"iteration":1200,"mode":"iteration"})",
      .run = "slurm-4242",
      .verified_bytes = true,
      .reasons = {"one", "two \u00e4\n"},
      .rejected = {{.checkpoint = {.attempt = 6, .iteration = 1400}, .why = "shard 2: checksum"}},
      .manifest_digest = "abc",
      .exit_code = 2,
      .error = "no"};
}

TEST(Decision, IsPrintedWithEveryFieldInTheContractsOrder) {
  EXPECT_EQ(
      to_json(small_record()),
      R"({"kind": "restore", "attempt": 7, "parent": {"attempt":6,"iteration":1200}, )"
      R"("source": "weights.safetensors", )"
      R"("request": {"attempt":null,"iteration":1200,"mode":"iteration"}, "run": "slurm-4242", )"
      R"("verified": "bytes", "reasons": ["one","two ä\n"], )"
      R"("rejected": [{"attempt":6,"iteration":1400,"why":"shard 2: checksum"}], )"
      R"("manifest_digest": "abc", "exit_code": 2, "error": "no"})");
  EXPECT_EQ(
      to_json({}),
      R"({"kind": "error", "attempt": null, "parent": null, "source": null, "request": {}, "run": "", )"
      R"("verified": "headers", "reasons": [], "rejected": [], "manifest_digest": null, "exit_code": 0, )"
      R"("error": null})");
}

TEST(Decision, OnDiskIsTheSameRecordAndItsDigest) {
  json sealed = json::parse(encode_decision(small_record()));
  EXPECT_TRUE(sealed.contains("digest"));
  sealed.erase("digest");
  EXPECT_EQ(sealed, json::parse(to_json(small_record())));
}

TEST(Decision, ComesBack) {
  for (const DecisionKind kind : {DecisionKind::kFresh, DecisionKind::kRestore,
                                  DecisionKind::kFinished, DecisionKind::kError}) {
    DecisionRecord record = small_record();
    record.kind = kind;
    EXPECT_EQ(to_json(parse_decision(encode_decision(record), "d")), to_json(record));
  }
  EXPECT_EQ(to_json(parse_decision(encode_decision({}), "d")), to_json({}));
  DecisionRecord loose = small_record();
  loose.parent->store = "";
  EXPECT_EQ(parse_decision(encode_decision(loose), "d").parent, loose.parent);
}

TEST(Decision, ARequestThatIsNoObjectIsABugOfTheWriter) {
  for (const char* request : {"", "null", "[]", "{", "{}x"}) {
    DecisionRecord record = small_record();
    record.request = request;
    error_of(ErrorCode::kInternal, [&] { to_json(record); });
    error_of(ErrorCode::kInternal, [&] { encode_decision(record); });
  }
}

TEST(Decision, EveryTruncationAndEveryBitFlipIsDamage) {
  expect_every_damage_is_seen(encode_decision(small_record()),
                              [](const std::string& text) { parse_decision(text, "d"); });
}

TEST(Decision, ASealedFileOfOtherTypesIsDamage) {
  const std::vector<std::pair<const char*, const char*>> bad = {{"/kind", "\"Fresh\""},
                                                                {"/kind", "null"},
                                                                {"/attempt", "0"},
                                                                {"/attempt", "-1"},
                                                                {"/attempt", "\"7\""},
                                                                {"/parent", "[]"},
                                                                {"/parent/attempt", "0"},
                                                                {"/parent/iteration", "null"},
                                                                {"/parent/store", "\"\""},
                                                                {"/source", "7"},
                                                                {"/request", "null"},
                                                                {"/request", "\"{}\""},
                                                                {"/run", "null"},
                                                                {"/verified", "true"},
                                                                {"/verified", "\"none\""},
                                                                {"/reasons", "null"},
                                                                {"/reasons", "[1]"},
                                                                {"/rejected", "{}"},
                                                                {"/rejected/0", "7"},
                                                                {"/rejected/0/attempt", "0"},
                                                                {"/rejected/0/why", "null"},
                                                                {"/manifest_digest", "7"},
                                                                {"/exit_code", "256"},
                                                                {"/exit_code", "-1"},
                                                                {"/exit_code", "null"},
                                                                {"/error", "7"}};
  for (const auto& [pointer, value] : bad) {
    json object = json::parse(encode_decision(small_record()));
    object[json::json_pointer(pointer)] = json::parse(value);
    const std::string text = seal(object);
    EXPECT_THAT(error_of(ErrorCode::kDamaged, [&] { parse_decision(text, "d"); }),
                StartsWith("d: "))
        << pointer << " " << value;
  }
  const json whole = json::parse(encode_decision(small_record()));
  for (const auto& [key, unused] : whole.items()) {
    json object = whole;
    object.erase(key);
    if (key != "digest") error_of(ErrorCode::kDamaged, [&] { parse_decision(seal(object), "d"); });
  }
}

}  // namespace
}  // namespace lockstep
