#include "coordinator/drift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/store_builder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Config config_of(double rate) {
  Config config;
  config.run.max_iterations = 100;
  config.task.name = "synthetic";
  config.optimizer.learning_rate = rate;
  return config;
}

Manifest made_with(const Config& config) {
  Manifest manifest;
  manifest.checkpoint = {1, 20};
  manifest.world_size = 2;
  manifest.config = canonical_json(config);
  manifest.data = {200, 1000, "d"};
  manifest.environment = {{"threads", "1"}, {"build", "0.1.0"}};
  return manifest;
}

LaunchFacts today(const Config& config) {
  auto launch = testing::launch_of(config.restore, "r");
  launch.config = canonical_json(config);
  return launch;
}

TEST(Drift, EveryKeyHasAMeaning) {
  const std::vector<std::pair<std::string, DriftKind>> rows = {
      {"run.id", DriftKind::kIgnored},
      {"restore", DriftKind::kIgnored},
      {"restore.iteration", DriftKind::kIgnored},
      {"run.max_iterations", DriftKind::kHarmless},
      {"run.max_epochs", DriftKind::kHarmless},
      {"run.seed", DriftKind::kChangesTraining},
      {"store", DriftKind::kHarmless},
      {"task.name", DriftKind::kChangesTraining},
      {"task.parameters", DriftKind::kChangesTraining},
      {"task.iteration_ms", DriftKind::kHarmless},
      {"task.library", DriftKind::kHarmless},
      {"task.options", DriftKind::kChangesTraining},
      {"data.path", DriftKind::kHarmless},
      {"data.global_batch", DriftKind::kChangesTraining},
      {"optimizer.learning_rate", DriftKind::kChangesTraining},
      {"schedule.warmup", DriftKind::kChangesTraining},
      {"precision", DriftKind::kChangesTraining},
      {"checkpoint.keep_last", DriftKind::kHarmless},
      {"log.level", DriftKind::kHarmless},
      {"a.key.of.tomorrow", DriftKind::kChangesTraining},
  };
  for (const auto& [key, kind] : rows)
    EXPECT_EQ(drift_of(key), kind) << key;
}

TEST(Drift, NothingIsSaidWhereNothingDiffers) {
  const auto config = config_of(0.5);
  EXPECT_THAT(drift_reasons(made_with(config), today(config), true), IsEmpty());
}

TEST(Drift, ASectionThatIsAbsentIsNoValueOfItsOwn) {
  auto changed = config_of(0.5);
  changed.checkpoint.keep_best = KeepBest{"accuracy", true, 2};
  const auto reasons = drift_reasons(made_with(config_of(0.5)), today(changed), true);
  ASSERT_EQ(reasons.size(), 1U);
  EXPECT_TRUE(reasons[0].starts_with("differs, harmless: checkpoint.keep_best.count none -> 2, "))
      << reasons[0];
}

TEST(Drift, AnotherBuildOfAPluginChangesTraining) {
  const auto config = config_of(0.5);
  auto manifest = made_with(config);
  auto launch = today(config);
  launch.environment = manifest.environment;
  launch.environment["library"] = "bb";
  manifest.environment["library"] = "aa";
  EXPECT_THAT(drift_reasons(manifest, launch, true),
              ElementsAre("changes training: library aa -> bb"));
}

TEST(Drift, SaysWhatChangesTrainingAndWhatDoesNot) {
  auto changed = config_of(0.25);
  changed.checkpoint.keep_last = 7;
  changed.run.id = "another";
  auto launch = today(changed);
  launch.data = DataPosition{0, 999, "e"};
  launch.environment = {{"threads", "2"}, {"build", "0.1.0"}};
  launch.world_size = 3;
  EXPECT_THAT(
      drift_reasons(made_with(config_of(0.5)), launch, true),
      ElementsAre("changes training: optimizer.learning_rate 0.5 -> 0.25, data length 1000 -> "
                  "999 samples, data digest d -> e",
                  "differs, harmless: checkpoint.keep_last 3 -> 7",
                  "not bit for bit as if never stopped, for another ranks 2 -> 3, threads 1 -> 2"));
  EXPECT_THAT(drift_reasons(made_with(config_of(0.5)), launch, false), IsEmpty())
      << "weights alone start a training of their own";
}

TEST(Drift, AKeyThatOneSideLacksDiffersAndAStrangeConfigIsNoError) {
  auto manifest = made_with(config_of(0.5));
  manifest.config = "[1]";
  EXPECT_FALSE(drift_reasons(manifest, today(config_of(0.5)), true).empty());
}

// A schedule that ends with the run: another end is other rates from now on.
TEST(Drift, AnotherEndChangesTrainingWhereLearningRatesGoByIt) {
  for (const std::string schedule : {"constant", "linear", "cosine"}) {
    for (const bool own_length : {false, true}) {
      auto before = config_of(0.1);
      before.schedule.name = schedule;
      if (own_length) before.schedule.iterations = 500;
      auto now = before;
      now.run.max_iterations = 120;
      const bool changes = schedule != "constant" && !own_length;
      EXPECT_THAT(drift_reasons(made_with(before), today(now), true),
                  ElementsAre(std::string(changes ? "changes training" : "differs, harmless") +
                              ": run.max_iterations 100 -> 120"));
    }
  }
}

}  // namespace
}  // namespace lockstep
