#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "coordinator/cli/launched.h"
#include "coordinator/cli/rehearsal.h"
#include "coordinator/config_loader.h"

namespace lockstep::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const RunPlace kPlace{"rehearse-cut-ab", "/scratch/cut", "/scratch/cut.prom"};

std::optional<std::string> no_environment(const std::string&) {
  return std::nullopt;
}

LoadedConfig load(const std::string& text, const std::vector<std::string>& sets = {}) {
  return parse_config("store: /store\ntask: {name: synthetic}\n" + text, "train.yaml", sets,
                      no_environment);
}

// The configuration that a run of a rehearsal gets.
LoadedConfig rehearsed(const std::string& text, const Scale& scale = {0, 30},
                       const RunPlace& place = kPlace) {
  return load(text, overrides_for(load(text).config, scale, place));
}

const std::string kBorder(74, '-');

TEST(TellingLines, HaveTheCauseOfAMessageOfOpenMpisAndNotItsAdvice) {
  EXPECT_THAT(telling_lines({"ssh: Could not resolve hostname n9", kBorder,
                             "There are not enough slots to satisfy the 40", "that were requested:",
                             "", "  lockstepd", "", "Either request fewer", "or more.", kBorder}),
              ElementsAre("ssh: Could not resolve hostname n9",
                          "There are not enough slots to satisfy the 40", "that were requested:"));
  EXPECT_THAT(telling_lines({kBorder, "first", kBorder, kBorder, "second", "", "advice", kBorder}),
              ElementsAre("first", "second"));
}

TEST(TellingLines, AreTheLastOnesOfALogWithoutMessages) {
  std::vector<std::string> log;
  for (int i = 0; i < 20; ++i)
    log.push_back(std::to_string(i));
  const auto lines = telling_lines(log);
  EXPECT_EQ(lines.size(), 12U);
  EXPECT_EQ(lines.back(), "19");
  EXPECT_THAT(telling_lines({"a", kBorder, "b", "", "c"}), ElementsAre("a", "b", "c"))
      << "one that is not closed hides nothing";
  EXPECT_THAT(telling_lines({}), ElementsAre());
}

TEST(RequireRoom, SaysWhatThereIsAndWhatIsWanted) {
  EXPECT_NO_THROW(require_room(9001, 1000, 9));
  try {
    require_room(9 << 20, 1 << 20, 9);
    FAIL() << "it must not be full to the brim";
  } catch (const Error& e) {
    EXPECT_EQ(exit_code(e.code()), 3);
    EXPECT_STREQ(
        e.what(),
        "no room beside the store: 9.0 MiB free, and 9 checkpoints of 1.0 MiB are still to "
        "be written (9.0 MiB); make room, or --set store=ELSEWHERE");
  }
}

TEST(RehearsalOverrides, GiveARunThatIsShortAndWritesOnlyToItsOwnStore) {
  const auto loaded = rehearsed("run: {max_iterations: 5000}\n");
  const auto& config = loaded.config;
  EXPECT_EQ(loaded.paths.store, "/scratch/cut");
  EXPECT_EQ(config.run.id, "rehearse-cut-ab");
  EXPECT_EQ(config.run.max_iterations, 30);
  EXPECT_EQ(config.checkpoint.interval, 10);
  EXPECT_EQ(config.checkpoint.keep_last, 2);
  EXPECT_FALSE(config.preempt.deadline_auto);
  EXPECT_EQ(config.restore.mode, RestoreMode::kLatest);
  EXPECT_TRUE(config.restore.fresh_if_missing);
  EXPECT_EQ(config.schedule.iterations, 5000) << "learning rates are the long run's";
  EXPECT_EQ(config.preempt.signals, PreemptConfig{}.signals);
}

TEST(RehearsalOverrides, TakeBackWhatStandsInTheWay) {
  const auto loaded = rehearsed(
      "run: {max_iterations: 5000, max_epochs: 1, id: mine}\n"
      "checkpoint: {interval: 100, keep_best: {metric: loss, mode: min}}\n"
      "evaluate: {interval: 50}\n"
      "schedule: {name: cosine, iterations: 4000}\n"
      "preempt: {signals: [TERM]}\n"
      "restore: 3@1200\n"
      "log: {format: json, level: error}\n");
  const auto& config = loaded.config;
  EXPECT_EQ(config.run.id, "rehearse-cut-ab");
  EXPECT_GE(config.run.max_epochs, 1'000'000);
  EXPECT_EQ(config.evaluate.interval, 10) << "keep_best wants an evaluation at each save";
  EXPECT_EQ(config.schedule.iterations, 4000);
  EXPECT_THAT(config.preempt.signals, ElementsAre("USR1"));
  EXPECT_EQ(config.restore.iteration, std::nullopt);
  EXPECT_EQ(config.restore.attempt, std::nullopt);
  EXPECT_FALSE(config.log.json);
  EXPECT_EQ(config.log.level, "info");
}

TEST(RehearsalOverrides, KeepASourceAndGoOnFromIt) {
  const auto loaded = rehearsed(
      "run: {max_iterations: 5000}\n"
      "restore: {from: /other, iteration: 1200, once: false, skip_samples: 64}\n",
      {1200, 31});
  EXPECT_EQ(loaded.config.run.max_iterations, 1231);
  EXPECT_EQ(loaded.config.checkpoint.interval, 10);
  EXPECT_EQ(loaded.paths.from, "/other");
  EXPECT_EQ(loaded.config.restore.iteration, 1200);
  EXPECT_EQ(loaded.config.restore.skip_samples, 64);
  EXPECT_TRUE(loaded.config.restore.once) << "else the second launch would begin anew";
}

TEST(RehearsalOverrides, CarryAnyPath) {
  for (const std::string path : {"/a b/c: d", "/a #b", "/\"quoted\"", "/\\", "/[x]", "/\xc3\xa4"})
    EXPECT_EQ(rehearsed("run: {max_iterations: 9}\n", {0, 30}, {"run", path, "/t"}).paths.store,
              path);
}

TEST(RehearsalEndings, TellWhatWasMeantFromWhatCameTooLateOrFailed) {
  struct Row {
    RunKind kind;
    int code;
    bool struck;
    Ending ending;
  };
  using enum RunKind;
  using enum Ending;
  const std::vector<Row> rows = {
      {kStraight, 0, false, kAsMeant}, {kStraight, 75, false, kFailed},
      {kStraight, 1, false, kFailed},  {kCut, 75, true, kAsMeant},
      {kCut, 75, false, kFailed},  // somebody else's signal
      {kCut, 0, false, kTooLate},      {kCut, 0, true, kTooLate},
      {kCut, 138, true, kFailed},  // the launcher died of it
      {kCut, 3, true, kFailed},        {kCut, 2, false, kFailed},
      {kKilled, 137, true, kAsMeant},  {kKilled, 1, true, kAsMeant},
      {kKilled, 137, false, kFailed},  {kKilled, 0, true, kTooLate},
      {kKilled, 0, false, kTooLate},   {kKilled, 2, true, kFailed},
      {kKilled, 75, true, kFailed},    {kKilled, 77, true, kFailed},
  };
  for (const auto& row : rows)
    EXPECT_EQ(judge_first(row.kind, row.code, row.struck), row.ending)
        << to_text(row.kind) << " " << row.code << " " << row.struck;
  EXPECT_THAT(objection(kCut, 138), HasSubstr("pass USR1 on"));
  EXPECT_THAT(objection(kCut, 3), Not(HasSubstr("USR1")));
}

TEST(RehearsalTimes, AreInTheMiddleOfTheRun) {
  const Scale scale{100, 30};
  EXPECT_FALSE(is_time_to_cut(scale, 110));
  EXPECT_TRUE(is_time_to_cut(scale, 111));
  EXPECT_FALSE(is_time_to_kill(scale, 120, std::nullopt));
  EXPECT_FALSE(is_time_to_kill(scale, 113, 110));
  EXPECT_TRUE(is_time_to_kill(scale, 114, 110));
}

TEST(RehearsalTimes, MoreIterationsAreEnoughAndBounded) {
  EXPECT_EQ(more_iterations(30, 0.3), 500);
  EXPECT_EQ(more_iterations(30, 100), 120) << "slow, and too late all the same";
  EXPECT_EQ(more_iterations(30, 0), 150'000);
  EXPECT_EQ(more_iterations(30, -1), 150'000);
  EXPECT_EQ(more_iterations(1000, 1e-9), 1'000'000);
  EXPECT_EQ(lost_iterations(17, 10), 7);
  EXPECT_EQ(lost_iterations(10, 17), 0) << "the heartbeat was behind";
}

Rehearsal example() {
  Rehearsal rehearsal;
  rehearsal.scale = {0, 30};
  rehearsal.ranks = 2;
  rehearsal.runs = {
      {RunKind::kStraight, {0}, CheckpointId{1, 30}, {}, 0, std::nullopt, std::nullopt},
      {RunKind::kCut, {75, 0}, CheckpointId{2, 30}, {}, 18, 0, 0.71},
      {RunKind::kKilled, {137, 0}, CheckpointId{2, 30}, {}, 18, 4, 1.049}};
  return rehearsal;
}

TEST(RehearsalText, SaysWhatWasFound) {
  EXPECT_EQ(to_text(example(), {}),
            "RUN       EXIT CODES  CHECKPOINT  STATE  ITERATIONS LOST  SECONDS TO RESUME\n"
            "straight  0           1@30        -      -                -\n"
            "cut       75, 0       2@30        equal  0                0.7\n"
            "killed    137, 0      2@30        equal  4                1.0\n"
            "\n"
            "30 iterations, 2 ranks, a checkpoint every 10; compared bit for bit: 18 tensors, "
            "iteration, data position\n"
            "to resume equals never having stopped\n");
}

TEST(RehearsalText, NamesTheFirstDifferences) {
  auto rehearsal = example();
  StateDiff diff;
  diff.facts = {{"data position", "360", "348"}};
  for (int i = 0; i < 5; ++i)
    diff.contents.push_back({"model.w" + std::to_string(i), 100, 3, 0.5, 0});
  rehearsal.runs[2].differences = differences_of(diff);
  const auto text = to_text(rehearsal, {});
  EXPECT_THAT(text, HasSubstr("killed    137, 0      2@30        differs"));
  EXPECT_THAT(text, HasSubstr("killed differs from straight:\n"
                              "  data position: 348, straight 360\n"
                              "  model.w0: 3 of 100 elements differ, by at most 0.5\n"));
  EXPECT_THAT(text, HasSubstr("  and 2 more\n"));
  EXPECT_THAT(text, HasSubstr("NOT the same"));
}

TEST(RehearsalText, IsOneObjectForMachines) {
  auto rehearsal = example();
  rehearsal.runs[1].differences = {"data position: 1, straight 2"};
  rehearsal.exit_code = 1;
  rehearsal.kept = "/scratch/.rehearse-ab";
  const auto json = nlohmann::json::parse(to_json(rehearsal));
  EXPECT_EQ(json["equal"], false);
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["kept"], "/scratch/.rehearse-ab");
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_TRUE(json["runs"][0]["equal"].is_null());
  EXPECT_EQ(json["runs"][1]["equal"], false);
  EXPECT_EQ(json["runs"][1]["differences"].size(), 1U);
  EXPECT_EQ(json["runs"][2]["seconds_to_resume"], 1.049);
  Rehearsal failed;
  failed.error = "cut, launch 1: ended with 1";
  EXPECT_TRUE(nlohmann::json::parse(to_json(failed))["equal"].is_null());
}

TEST(SplitWords, DoesAsAShellButRunsNothing) {
  EXPECT_THAT(split_words("  mpirun  -n 4\t"), ElementsAre("mpirun", "-n", "4"));
  EXPECT_THAT(split_words(R"(a 'b c' "d e" f\ g '')"), ElementsAre("a", "b c", "d e", "f g", ""));
  EXPECT_THAT(split_words("srun -w node[1-2]"), Contains("node[1-2]"));
  for (const std::string bad : {"", " ", "a | b", "a; b", "a & b", "a > b", "$(true)", "`true`",
                                "a 'b", "a \"b", "$LOCKSTEP_TEST_THAT_IS_NOT_SET", "a\nb"})
    EXPECT_THROW(split_words(bad), Error) << bad;
}

}  // namespace
}  // namespace lockstep::cli
