#include "coordinator/config_synonyms.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/config_schema.h"
#include "tests/support/config_text.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(Synonyms, AWordThatStandsForAnotherIsToldWhich) {
  const std::vector<std::array<std::string, 3>> rows = {
      {"device", "gpu", "cuda"},
      {"device", "GPU", "cuda"},
      {"device", "cuda:0", "cuda"},
      {"device", "tpu", ""},
      {"collectives", "gloo", "mpi"},
      {"precision", "bfloat16", "bf16"},
      {"precision", "bf16-mixed", "bf16"},
      {"precision", "fp16", "bf16"},
      {"precision", "16-mixed", "bf16"},
      {"precision", "float32", "fp32"},
      {"precision", "32", "fp32"},
      {"precision", "fp64", ""},
      {"log.level", "warn", "warning"},
      {"log.level", "WARNING", "warning"},
      {"log.level", "err", "error"},
      {"log.level", "critical", "error"},
      {"log.level", "trace", "debug"},
      {"optimizer.name", "AdamW", "adamw"},
      {"optimizer.name", "adam_w", "adamw"},
      {"optimizer.name", "Adam", "adam"},
      {"optimizer.name", "nadam", ""},
      {"schedule.name", "CosineAnnealingLR", "cosine"},
      {"checkpoint.keep_best.mode", "minimize", "min"},
      {"checkpoint.keep_best.mode", "lower", "min"},
      {"checkpoint.keep_best.mode", "maximize", "max"},
      {"checkpoint.keep_best.mode", "higher", "max"},
      {"checkpoint.when_busy", "block", "wait"},
      {"checkpoint.when_busy", "drop", "skip"},
      {"restore.scope", "weights", "model"},
      {"run.on_nonfinite", "raise", "stop"},
      {"task.name", "gpt2", "language_model"},
  };
  for (const auto& [key, given, meant] : rows) {
    const auto text = error_of(required, {std::string(key) + "=" + given});
    const auto end =
        ", not '" + given + "'" + (meant.empty() ? "" : "; did you mean " + meant + "?");
    EXPECT_TRUE(text.ends_with(end)) << text;
  }
}

TEST(Synonyms, EveryWordThatStandsForAnotherStandsForOneThatThereIs) {
  for (const KeySpec& key : key_specs())
    for (const std::string& own : key.words)
      EXPECT_EQ(meant_word(key.path, own).value_or(own), own) << key.path;
}

TEST(Synonyms, AListenAddressIsToldWithItsPort) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"on", "; write 127.0.0.1:9400"},
      {"true", "; write 127.0.0.1:9400"},
      {"false", "; write off"},
      {"9401", "; write 127.0.0.1:9401"},
      {"':9401'", "; write 127.0.0.1:9401"},
      {"'localhost:9401'", "; write 127.0.0.1:9401"},
      {"'0.0.0.0:9401'", "; write 127.0.0.1:9401; only this host may read it: forward the port"},
      {"'*:9401'", "; write 127.0.0.1:9401; only this host"},
      {"'[::]:9401'", "; write 127.0.0.1:9401; only this host"},
  };
  for (const auto& [given, advice] : rows)
    EXPECT_THAT(error_of(required, {std::string("control.listen=").append(given)}),
                HasSubstr(advice));
  EXPECT_TRUE(error_of(required + "control: {listen: '127.0.0.1:99999'}\n").ends_with("99999'"));
}

}  // namespace
}  // namespace lockstep
