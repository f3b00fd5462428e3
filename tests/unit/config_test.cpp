#include "common/config.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "coordinator/config_loader.h"
#include "tests/support/config_text.h"

namespace lockstep {
namespace {

TEST(Config, EncodeAndDecodeAreInverse) {
  for (const std::string& text : {required, std::string(kEverything), required + "restore: auto\n",
                                  required + "restore: fresh\n"}) {
    LoadedConfig loaded = parse(text);
    for (int i = 0; i < 2; ++i) {
      const LoadedConfig back = decode_config(encode(loaded));
      EXPECT_EQ(encode(back), encode(loaded));
      EXPECT_EQ(canonical_json(back.config), canonical_json(loaded.config));
      EXPECT_EQ(back.config.restore, loaded.config.restore);
      EXPECT_EQ(back.paths.store, loaded.paths.store);
      EXPECT_EQ(back.paths.data, loaded.paths.data);
      // What no file can hold yet travels as well.
      loaded.config.checkpoint.keep_best = KeepBest{"loss", false, 2};
      loaded.config.restore.present = true;
      loaded.config.restore.mode = RestoreMode::kBest;
      loaded.config.restore.iteration.reset();
      loaded.config.restore.from = "../other";
      loaded.paths.from = "/other";
    }
  }
}

TEST(Config, DecodeRefusesWhatEncodeDidNotMake) {
  const std::string bytes = encode(parse(kEverything));
  std::vector<std::string> bad = {"",  "{}",        "[]",        "null",
                                  "x", bytes + " ", " " + bytes, bytes.substr(0, bytes.size() - 1)};
  const auto swap = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    changed.replace(changed.find(from), from.size(), to);
    bad.push_back(changed);
  };
  swap(R"("seed":9223372036854775807)", R"("seed":1.5)");
  swap(R"("seed":9223372036854775807)", R"("seed":5e29)");
  swap(R"("seed":)", R"("sead":)");
  swap(R"("async":false)", R"("async":0)");
  swap(R"("format":"json")", R"("format":"xml")");
  swap(R"("mode":"iteration")", R"("mode":7)");
  swap(R"("once":false)", R"("once":false,"more":1)");
  for (const std::string& text : bad) {
    try {
      decode_config(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal);
    }
  }
}

TEST(Config, TheRequestAloneHasEveryKeySorted) {
  EXPECT_EQ(canonical_json(request_of("")), "{}");
  EXPECT_EQ(canonical_json(request_of("latest")),
            R"({"attempt":null,"exclude":[],"from":null,"if_missing":"error","iteration":null,)"
            R"("max_lost_iterations":null,"mode":"latest","once":true,"scope":"full",)"
            R"("skip_samples":0})");
}

TEST(Config, FlatNamesEveryKeyByItsPath) {
  const auto flat = flat_config(canonical_json(parse(kEverything).config));
  EXPECT_EQ(flat.at("checkpoint.keep_last"), "1");
  EXPECT_EQ(flat.at("optimizer.betas"), "[0.0,0.5]");
  EXPECT_EQ(flat.at("run.id"), "\"4242\"");
  EXPECT_EQ(flat.at("restore.iteration"), "0");
  EXPECT_EQ(flat.at("device"), "\"cpu\"");
  EXPECT_EQ(flat_config(canonical_json(parse(required).config)).at("restore"), "null");
  EXPECT_THROW(flat_config("{"), Error);
}

}  // namespace
}  // namespace lockstep
