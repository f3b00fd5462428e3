#include "common/manifest.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/sealed_json.h"
#include "tests/support/expect_error.h"

namespace lockstep {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::expect_every_damage_is_seen;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr CheckpointId kId{.attempt = 3, .iteration = 1200};

Manifest small_manifest() {
  Manifest manifest;
  manifest.checkpoint = kId;
  manifest.world_size = 2;
  manifest.seed = -1;
  manifest.finite = false;
  manifest.tensors = {{.name = "model.w", .dtype = Dtype::kF32, .shape = {2, 3}},
                      {.name = "model.empty", .dtype = Dtype::kF32, .shape = {0}},
                      {.name = "buffer.n", .dtype = Dtype::kI64, .shape = {}}};
  manifest.shards = {{.file = "shard-00000-of-00002.safetensors",
                      .bytes = 4108,
                      .header_digest = std::string(32, '0')},
                     {.file = "shard-00001-of-00002.safetensors",
                      .bytes = 4116,
                      .header_digest = std::string(32, 'f')}};
  manifest.partition = {{.tensors = 2, .elements = 6}, {.tensors = 1, .elements = 1}};
  manifest.parent = {.checkpoint = {.attempt = 2, .iteration = 0}, .store = std::nullopt};
  manifest.data = {.position = 307'200, .length = 60'000, .digest = "d"};
  manifest.metrics = {{"accuracy", 0.1 + 0.2}, {"loss", 5e-324}, {std::string("loss\0b", 6), 1}};
  manifest.config = R"({"a":1e-300,"restore":null})";
  manifest.run = "slurm-4242";
  manifest.created = "2025-01-02T03:04:05Z";
  manifest.environment = {{"threads", "1"}, {std::string("threads\0b", 9), "2"}};
  return manifest;
}

TEST(Manifest, ComesBack) {
  const Manifest manifest = small_manifest();
  const std::string text = encode_manifest(manifest);
  const Manifest back = parse_manifest(text, kId, "m");
  EXPECT_EQ(back.checkpoint, kId);
  EXPECT_EQ(back.world_size, 2);
  EXPECT_EQ(back.seed, -1);
  EXPECT_FALSE(back.finite);
  EXPECT_EQ(back.tensors, manifest.tensors);
  EXPECT_EQ(back.shards[1].file, manifest.shards[1].file);
  EXPECT_EQ(back.shards[1].bytes, 4116U);
  EXPECT_EQ(back.shards[1].header_digest, manifest.shards[1].header_digest);
  EXPECT_EQ(back.partition[0].elements, 6);
  EXPECT_EQ(back.partition[1].tensors, 1);
  EXPECT_EQ(back.parent, manifest.parent);
  EXPECT_EQ(back.data.position, 307'200);
  EXPECT_EQ(back.data.length, 60'000);
  EXPECT_EQ(back.data.digest, "d");
  EXPECT_EQ(back.metrics, manifest.metrics);
  EXPECT_EQ(back.config, manifest.config);
  EXPECT_EQ(back.run, manifest.run);
  EXPECT_EQ(back.created, manifest.created);
  EXPECT_EQ(back.environment, manifest.environment);
  EXPECT_EQ(encode_manifest(back), text);
  EXPECT_EQ(manifest_digest(text), digest128(text));
}

TEST(Manifest, HasTheKeysOfTheFormat) {
  const json object = json::parse(encode_manifest(small_manifest()));
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items())
    keys.push_back(key);
  EXPECT_THAT(
      keys, ::testing::ElementsAre("attempt", "config", "created", "data", "digest", "environment",
                                   "finite", "iteration", "metrics", "parent", "partition", "run",
                                   "seed", "shards", "tensors", "world_size"));
  EXPECT_EQ(object["tensors"][0].dump(), R"({"dtype":"F32","name":"model.w","shape":[2,3]})");
  EXPECT_EQ(object["parent"].dump(), R"({"attempt":2,"iteration":0})");
  EXPECT_EQ(object["shards"][0]["bytes"], 4108);
}

TEST(Manifest, MayTellHowItWasWritten) {
  Manifest manifest = small_manifest();
  EXPECT_EQ(parse_manifest(encode_manifest(manifest), kId, "m").engine, std::nullopt);
  manifest.engine = "buffered";
  EXPECT_EQ(parse_manifest(encode_manifest(manifest), kId, "m").engine, "buffered");
}

TEST(Manifest, ParentsOfOtherStoresAreTold) {
  for (const auto& [store, text] : std::vector<std::pair<std::optional<std::string>, std::string>>{
           {"abc", R"({"attempt":9,"iteration":4,"store":"abc"})"},
           {"", R"({"attempt":9,"iteration":4,"store":null})"}}) {
    Manifest manifest = small_manifest();
    manifest.parent = {.checkpoint = {.attempt = 9, .iteration = 4}, .store = store};
    const std::string encoded = encode_manifest(manifest);
    EXPECT_EQ(json::parse(encoded)["parent"].dump(), text);
    EXPECT_EQ(parse_manifest(encoded, kId, "m").parent, manifest.parent);
  }
  Manifest orphan = small_manifest();
  orphan.parent.reset();
  EXPECT_EQ(parse_manifest(encode_manifest(orphan), kId, "m").parent, std::nullopt);
}

TEST(Manifest, EveryTruncationAndEveryBitFlipIsDamage) {
  expect_every_damage_is_seen(encode_manifest(small_manifest()),
                              [](const std::string& text) { parse_manifest(text, kId, "m"); });
}

TEST(Manifest, ThatOfAnotherCheckpointIsDamage) {
  const std::string text = encode_manifest(small_manifest());
  EXPECT_EQ(error_of(ErrorCode::kDamaged,
                     [&] { parse_manifest(text, {.attempt = 3, .iteration = 1201}, "m"); }),
            "m: is the manifest of 3@1200, expected 3@1201");
  error_of(ErrorCode::kDamaged,
           [&] { parse_manifest(text, {.attempt = 4, .iteration = 1200}, "m"); });
}

TEST(Manifest, ValuesThatCanNotBeAreABugOfTheWriter) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  const std::vector<std::function<void(Manifest&)>> bad = {
      [](Manifest& m) { m.checkpoint.attempt = 0; },
      [](Manifest& m) { m.checkpoint.iteration = -1; },
      [](Manifest& m) { m.world_size = 0; },
      [](Manifest& m) { m.world_size = 3; },
      [](Manifest& m) { m.shards.pop_back(); },
      [](Manifest& m) { std::swap(m.shards[0], m.shards[1]); },
      [](Manifest& m) { m.shards[1] = m.shards[0]; },
      [](Manifest& m) { m.shards[0].file = "../x"; },
      [](Manifest& m) { m.shards[0].bytes = std::uint64_t{1} << 63U; },
      [](Manifest& m) { m.shards[0].header_digest = ""; },
      [](Manifest& m) { m.shards[0].header_digest = std::string(32, 'F'); },
      [](Manifest& m) { m.tensors[0].name = ""; },
      [](Manifest& m) { m.tensors[0].name = "a/b"; },
      [](Manifest& m) { m.tensors[1].name = m.tensors[0].name; },
      [](Manifest& m) { m.tensors[0].shape = {-1}; },
      [](Manifest& m) {
        m.tensors[0].shape = {kHuge, 3};
      },
      [](Manifest& m) { m.tensors[0].shape = {5}; },
      [](Manifest& m) { m.tensors[0].dtype = Dtype::kF64; },
      [](Manifest& m) { m.partition.pop_back(); },
      [](Manifest& m) { m.partition.push_back({.tensors = 1, .elements = 1}); },
      [](Manifest& m) { m.partition = {{.tensors = 3, .elements = 7}}; },
      [](Manifest& m) { m.partition[0].tensors = -1; },
      [](Manifest& m) { m.partition[0].tensors = std::numeric_limits<std::int64_t>::max(); },
      [](Manifest& m) { m.partition[1].elements = 2; },
      [](Manifest& m) {
        m.tensors[2].shape = {kHuge};
        m.partition[1].elements = kHuge;
      },  // x 8 bytes
      [](Manifest& m) { m.parent->checkpoint.attempt = 3; },
      [](Manifest& m) { m.parent->checkpoint.attempt = 0; },
      [](Manifest& m) { m.parent->checkpoint.iteration = -1; },
      [](Manifest& m) { m.data.position = -1; },
      [](Manifest& m) { m.data.length = -1; },
      [](Manifest& m) { m.config = ""; },
      [](Manifest& m) { m.config = "[]"; },
      [](Manifest& m) { m.metrics["x"] = std::numeric_limits<double>::infinity(); },
      [](Manifest& m) { m.metrics["x"] = std::numeric_limits<double>::quiet_NaN(); },
      [](Manifest& m) { m.run = "\xFF"; }};
  for (std::size_t row = 0; row < bad.size(); ++row) {
    Manifest manifest = small_manifest();
    bad[row](manifest);
    EXPECT_NE(error_of(ErrorCode::kInternal, [&] { encode_manifest(manifest); }), "")
        << "row " << row;
  }
}

TEST(Manifest, ASealedFileOfOtherTypesOrRangesIsDamage) {
  const std::vector<std::pair<const char*, const char*>> bad = {
      {"/attempt", "0"},
      {"/attempt", "\"3\""},
      {"/attempt", "3.0"},
      {"/iteration", "-1"},
      {"/iteration", "null"},
      {"/world_size", "0"},
      {"/world_size", "3"},
      {"/world_size", "9223372036854775807"},
      {"/seed", "1.5"},
      {"/seed", "null"},
      {"/seed", "18446744073709551615"},
      {"/finite", "1"},
      {"/engine", "1"},
      {"/engine", "null"},
      {"/tensors", "{}"},
      {"/tensors", "[]"},
      {"/tensors/0", "7"},
      {"/tensors/0/name", "7"},
      {"/tensors/0/name", "\"a/b\""},
      {"/tensors/0/name", "\"buffer.n\""},
      {"/tensors/0/dtype", "\"F33\""},
      {"/tensors/0/dtype", "null"},
      {"/tensors/0/shape", "6"},
      {"/tensors/0/shape", "[-6]"},
      {"/tensors/0/shape", "[7]"},
      {"/tensors/0/shape", "[6.0]"},
      {"/tensors/0/shape", "[9223372036854775807,2]"},
      {"/shards", "[]"},
      {"/shards", "null"},
      {"/shards/0/file", "\"shard-00001-of-00002.safetensors\""},
      {"/shards/0/file", "\"/etc/passwd\""},
      {"/shards/0/bytes", "-1"},
      {"/shards/0/bytes", "9223372036854775808"},
      {"/shards/0/header_digest", "\"\""},
      {"/shards/0/header_digest", "7"},
      {"/partition", "[]"},
      {"/partition/0/tensors", "-2"},
      {"/partition/0/tensors", "9223372036854775807"},
      {"/partition/0/elements", "5"},
      {"/parent", "7"},
      {"/parent", "{}"},
      {"/parent/attempt", "3"},
      {"/parent/attempt", "0"},
      {"/parent/iteration", "-1"},
      {"/parent/store", "7"},
      {"/parent/store", "\"\""},
      {"/data", "null"},
      {"/data/position", "-1"},
      {"/data/length", "-1"},
      {"/data/digest", "null"},
      {"/metrics", "[]"},
      {"/metrics/loss", "null"},
      {"/metrics/loss", "\"1\""},
      {"/config", "null"},
      {"/config", "\"{}\""},
      {"/run", "null"},
      {"/created", "7"},
      {"/environment", "null"},
      {"/environment/threads", "1"}};
  for (const auto& [pointer, value] : bad) {
    json object = json::parse(encode_manifest(small_manifest()));
    object[json::json_pointer(pointer)] = json::parse(value);
    const std::string text = seal(object);
    EXPECT_THAT(error_of(ErrorCode::kDamaged, [&] { parse_manifest(text, kId, "m"); }),
                StartsWith("m: "))
        << pointer << " " << value;
  }
  const json whole = json::parse(encode_manifest(small_manifest()));
  for (const auto& [key, unused] : whole.items()) {
    json object = whole;
    object.erase(key);
    if (key == "digest") continue;
    EXPECT_EQ(error_of(ErrorCode::kDamaged, [&] { parse_manifest(seal(object), kId, "m"); }),
              "m: " + key + " is missing");
  }
}

TEST(Manifest, TwelveThousandTensorsComeBack) {
  Manifest manifest = small_manifest();
  manifest.tensors.clear();
  for (int i = 0; i < 12'000; ++i) {
    manifest.tensors.push_back({.name = "optimizer.layers." + std::to_string(i) + ".weight.exp_avg",
                                .dtype = Dtype::kF32,
                                .shape = {64, 64}});
  }
  manifest.partition = {{.tensors = 12'000, .elements = 12'000 * 4096}};
  EXPECT_EQ(parse_manifest(encode_manifest(manifest), kId, "m").tensors, manifest.tensors);
}

}  // namespace
}  // namespace lockstep
