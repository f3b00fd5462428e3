#include "coordinator/config_loader.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "common/config.h"
#include "common/config_json.h"
#include "common/error.h"
#include "coordinator/config_checks.h"
#include "coordinator/config_schema.h"
#include "coordinator/json_text.h"
#include "tests/support/config_text.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::TemporaryFolder;

std::string load_error(const std::string& path, ErrorCode code = ErrorCode::kInvalidConfig) {
  try {
    load_config(path, {}, environment);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "";
}

TEST(LoadConfig, WhatIsNoReadableRegularFileIsRefused) {
  EXPECT_EQ(load_error("absent.yaml"), "absent.yaml: there is no such file");
  EXPECT_EQ(load_error("."), ".: a folder, not a regular file");
  EXPECT_EQ(load_error("/dev/null"), "/dev/null: a device or socket, not a regular file");
  const TemporaryFolder folder;
  const auto pipe = folder / "pipe.yaml";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(load_error(pipe), pipe + ": a pipe, not a regular file");
  const auto large = folder / "large.yaml";
  std::ofstream(large) << std::string((std::size_t{1} << 20) + 1, '#');
  EXPECT_THAT(load_error(large), StartsWith(large + ": larger than 1 MiB"));
  EXPECT_EQ(load_error(large + "/x"), large + "/x: there is no such file");
}

TEST(LoadConfig, RelativePathsAreRelativeToTheFile) {
  const TemporaryFolder folder;
  const std::string here = folder.path();
  std::filesystem::create_directories(here + "/jobs/a");
  std::ofstream(here + "/jobs/a/train.yaml") << "run: {max_iterations: 1}\nstore: ./s\n"
                                             << "task: {name: plugin, library: ./line.so}\n"
                                             << "data: {path: ../data}\n";
  const auto from_here = std::filesystem::relative(here + "/jobs/a/train.yaml").string();
  const LoadedConfig loaded = load_config(from_here, {}, environment);
  EXPECT_FALSE(loaded.restore_is_set);
  EXPECT_EQ(loaded.paths.store, here + "/jobs/a/s");
  EXPECT_EQ(loaded.paths.data, here + "/jobs/a/../data");
  EXPECT_EQ(loaded.paths.library, here + "/jobs/a/line.so");
  EXPECT_EQ(decode_config(encode(loaded)).paths.library, loaded.paths.library);
  EXPECT_EQ(loaded.config.store, "./s");
}

TEST(ParseConfig, FillsInTheDefaults) {
  const Config config = parse(required).config;
  EXPECT_EQ(canonical_json(config),
            R"({"checkpoint":{"async":true,"interval":200,"keep_best":null,"keep_every":null,)"
            R"("keep_last":3,"max_failures":3,"minutes":null,"when_busy":"wait"},)"
            R"("collectives":"auto","control":{"listen":"off"},)"
            R"("data":{"global_batch":256,"micro_batch":null,"path":null},"device":"auto",)"
            R"("evaluate":{"interval":null},"log":{"format":"text","level":"info"},)"
            R"("metrics":{"interval":10,"tensorboard":false,"textfile":null},)"
            R"("optimizer":{"betas":[0.9,0.999],"clip_norm":null,"learning_rate":0.001,)"
            R"("momentum":0.0,"name":"adamw","no_decay":null,"weight_decay":0.01},)"
            R"("precision":"fp32","preempt":{"deadline":"auto","grace_seconds":60,)"
            R"("signals":["USR1","USR2","TERM","XCPU"]},"restore":null,)"
            R"("run":{"id":null,"max_epochs":null,"max_iterations":10,"on_nonfinite":"stop",)"
            R"("seed":1},"schedule":{"iterations":null,"name":"constant","warmup":0},)"
            R"("store":"./s","task":{"context":null,"heads":null,"iteration_ms":0,"layers":null,)"
            R"("library":null,"name":"synthetic","options":null,"parameters":1000000,"tensors":16,)"
            R"("width":null},"watchdog":{"heartbeat_seconds":5.0,"join_seconds":900.0,)"
            R"("stall_seconds":300.0}})");
}

TEST(ParseConfig, TellsWhetherTheRestoreSectionIsOfTheFileAlone) {
  EXPECT_FALSE(parse(required).restore_is_set);
  EXPECT_FALSE(parse(required, {"run.seed=7"}).restore_is_set);
  EXPECT_TRUE(parse(required, {"run.seed=7", "restore=latest"}).restore_is_set);
  EXPECT_TRUE(parse(required, {"restore.iteration=7"}).restore_is_set);
  const auto set = parse(required, {"restore=7"});
  EXPECT_TRUE(decode_config(encode(set)).restore_is_set);
}

TEST(ParseConfig, TakesEveryKey) {
  const auto loaded = parse(kEverything);
  const auto& config = loaded.config;
  const auto& paths = loaded.paths;
  EXPECT_EQ(config.run.id, "4242");
  EXPECT_EQ(config.run.max_epochs, 3);
  EXPECT_EQ(config.run.seed, 9223372036854775807);
  EXPECT_FALSE(config.run.stop_on_nonfinite);
  EXPECT_EQ(config.task.parameters, 1000);
  EXPECT_EQ(config.task.iteration_ms, 5);
  EXPECT_EQ(config.data.global_batch, 2147483648);
  EXPECT_EQ(config.data.micro_batch, 8);
  EXPECT_EQ(config.optimizer.learning_rate, 0.0);
  EXPECT_EQ(config.optimizer.weight_decay, 0.01);
  EXPECT_EQ(config.optimizer.betas, (std::array<double, 2>{0, 0.5}));
  EXPECT_EQ(config.optimizer.clip_norm, 1.0);
  EXPECT_EQ(config.optimizer.no_decay, (std::vector<std::string>{"*.bias"}));
  EXPECT_EQ(config.schedule.warmup, 5000);
  EXPECT_EQ(config.evaluate.interval, 50);
  EXPECT_FALSE(config.checkpoint.async);
  EXPECT_EQ(config.restore.iteration, 0);
  EXPECT_EQ(config.restore.max_lost_iterations, 0);
  EXPECT_FALSE(config.restore.once);
  EXPECT_EQ(config.preempt.signals, (std::vector<std::string>{"INT", "HUP"}));
  EXPECT_FALSE(config.preempt.deadline_auto);
  EXPECT_EQ(config.watchdog.join_seconds, 15.0);
  EXPECT_TRUE(config.log.json);
  EXPECT_EQ(config.store, "${SCRATCH}/ckpt");
  EXPECT_EQ(paths.store, "/scratch/me/ckpt");
  EXPECT_EQ(paths.data, "/home/me/data");
  EXPECT_EQ(paths.from, std::nullopt);
}

TEST(ParseConfig, TheSameInOtherWordsIsTheSameConfiguration) {
  const std::string one = canonical_json(parse(required + "restore: 30\n").config);
  for (const std::string& text : {
           std::string("\xEF\xBB\xBF") + required + "restore: 30\n",
           std::string("---\n") + required + "restore: 30\n...\n",
           std::string(
               "restore:\n  iteration: 30  # so\n  once: true\nstore: './s'\ntask:\n  name: "
               "\"synthetic\"\n\nrun:\n  max_iterations: 10\r\n"),
           std::string(R"({"run":{"max_iterations":10},"store":"./s",)"
                       R"("task":{"name":"synthetic"},"restore":{"iteration":30}})"),
           std::string("{\n\t\"restore\": 30,\n\t\"run\": {\"max_iterations\": 10},\n"
                       "\t\"store\": \".\\/s\",\n\t\"task\": {\"name\": \"synthetic\"}\n}\n"),
           required + "restore: 30\noptimizer: {learning_rate: 0.001}\n",
           required + "restore: 30\noptimizer: {learning_rate: 1.0e-3}\n",
           required + "restore: 30\noptimizer: {learning_rate: 1E-3}\n",
       }) {
    EXPECT_EQ(canonical_json(parse(text).config), one) << text;
  }
}

TEST(ParseConfig, TextIsTextAsWritten) {
  const auto id = [](const std::string& written) {
    return parse(required.substr(required.find('\n') + 1) +
                 "run: {max_iterations: 1, id: " + written + "}\n")
        .config.run.id;
  };
  EXPECT_EQ(id("4242"), "4242");
  EXPECT_EQ(id("0042"), "0042");
  EXPECT_EQ(id("\"true\""), "true");
  EXPECT_EQ(id("true"), "true");
  EXPECT_EQ(id("1e3"), "1e3");
  EXPECT_EQ(id("2024-01-31"), "2024-01-31");
  EXPECT_EQ(id("\"\xC3\xA9\""), "\xC3\xA9");
  EXPECT_EQ(id("'it''s'"), "it's");
  EXPECT_EQ(id("\"null\""), "null");
}

TEST(ParseConfig, ExpandsPathsOnceAndOnlyPaths) {
  const auto store = [](const std::string& written) {
    return parse("run: {max_iterations: 1}\ntask: {name: synthetic}\nstore: " + written + "\n")
        .paths.store;
  };
  EXPECT_EQ(store("s"), "/jobs/s");
  EXPECT_EQ(store("./"), "/jobs");
  EXPECT_EQ(store(".//s"), "/jobs/s");
  EXPECT_EQ(store("../s"), "/jobs/../s");
  EXPECT_EQ(store("/abs/s"), "/abs/s");
  EXPECT_EQ(store("~/s"), "/home/me/s");
  EXPECT_EQ(store("${SCRATCH}/a-${HOME}"), "/scratch/me/a-/home/me");
  EXPECT_EQ(store("x/${DOLLAR}"), "/jobs/x/$HOME~");
  EXPECT_EQ(store("a.b"), "/jobs/a.b");
}

TEST(ParseConfig, APathThatIsNotUtf8IsAMistakeOfTheUsers) {
  const std::string advice = " is not UTF-8, as all that a job writes is; take one that is, or";
  EXPECT_THAT(error_of(required, {}, "/jobs/a\xff\xc3\xa9/train.yaml"),
              StartsWith("/jobs/a\\xff\xc3\xa9/train.yaml:2:8: store: the path "
                         "/jobs/a\\xff\xc3\xa9/s" +
                         advice));
  EXPECT_THAT(error_of(required + "metrics: {textfile: t.prom}\n", {"store=/s"}, "\xe9/train.yaml"),
              AllOf(StartsWith("\\xe9/train.yaml:4:21: metrics.textfile: the path /"),
                    HasSubstr("/\\xe9/t.prom" + advice)));
  EXPECT_EQ(error_of(required, {"store=/s"}, "\xff/train.yaml"), "") << "no path of the job's";
}

TEST(ParseConfig, APathBehindALinkThatIsNotUtf8IsAMistakeOfTheUsers) {
  const lockstep::testing::TemporaryFolder folder;
  const auto config = folder.path() + "/train.yaml";
  std::ofstream(config) << required;
  std::filesystem::create_directory(folder.path() + "/b\xfe");
  std::filesystem::create_directory_symlink("b\xfe", folder.path() + "/s");
  try {
    load_config(config, {}, environment);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
    EXPECT_THAT(error.what(), AllOf(StartsWith("where links lead: store: the path /"),
                                    HasSubstr("/b\\xfe is not UTF-8")));
  }
}

TEST(JsonText, IsUtf8Always) {
  EXPECT_EQ(json_text({{"a", "x\xfe\xc3\xa9"}, {"b", 1}}),
            "{\"a\":\"x\xef\xbf\xbd\xc3\xa9\",\"b\":1}");
  EXPECT_EQ(json_text({{"a", "\xe2\x82"}}, 2), "{\n  \"a\": \"\xef\xbf\xbd\"\n}");
}

TEST(Checks, KeepBestWantsAnEvaluationAtEachSave) {
  const auto check = [](const std::map<std::string, nlohmann::json>& values) -> std::string {
    GivenValues given;
    for (const auto& [path, value] : values)
      given[path] = {value, {path, 0}};
    try {
      check_together(given);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const auto section = nlohmann::json::object();
  EXPECT_THAT(check({{"checkpoint.keep_best", section}}),
              StartsWith("checkpoint.keep_best: checkpoint.keep_best needs an evaluation"));
  EXPECT_THAT(check({{"checkpoint.keep_best", section}, {"evaluate.interval", 300}}),
              StartsWith("evaluate.interval: "));
  EXPECT_EQ(check({{"checkpoint.keep_best", section}, {"evaluate.interval", 100}}), "");
  EXPECT_EQ(check({{"checkpoint.keep_best", section},
                   {"checkpoint.interval", 300},
                   {"evaluate.interval", 300}}),
            "");
  const std::string absent =
      "restore.mode: best goes by checkpoint.keep_best, which is not there; write checkpoint: "
      "{keep_best: {metric: loss, mode: min}}";
  EXPECT_EQ(check({{"restore.mode", "best"}}),
            absent + " and evaluate: {interval: 200}, one at each save");
  EXPECT_EQ(check({{"restore.mode", "best"}, {"checkpoint.interval", 30}}),
            absent + " and evaluate: {interval: 30}, one at each save");
  EXPECT_EQ(check({{"restore.mode", "best"}, {"evaluate.interval", 100}}), absent);
  EXPECT_EQ(check({{"restore.mode", "best"},
                   {"checkpoint.keep_best", section},
                   {"evaluate.interval", 200}}),
            "");
}

TEST(Checks, EveryKeyOfTheSchemaHasItsFieldAndEveryFieldItsKey) {
  nlohmann::json defaults = to_json(Config{});
  Request request;
  request.present = true;
  defaults["restore"] = to_json(request);
  defaults["checkpoint"]["keep_best"] = to_json(KeepBest{});
  auto fields = flat_config(defaults.dump());
  for (const KeySpec& key : key_specs()) {
    EXPECT_EQ(fields.erase(key.path), 1U) << key.path;
  }
  EXPECT_THAT(fields, ::testing::IsEmpty());
}

TEST(Checks, EachKindOfValueSaysWhatItWants) {
  EXPECT_THAT(error_of(required + "checkpoint: {keep_best: {mode: best}}\n"),
              HasSubstr("checkpoint.keep_best.mode is max or min"));
  EXPECT_THAT(error_of(required + "checkpoint: {keep_best: accuracy}\n"),
              HasSubstr("checkpoint.keep_best is a section"));
  EXPECT_THAT(error_of(required + "restore: best\n"),
              HasSubstr("mode: min}} and evaluate: {interval: 200}"));
  EXPECT_THAT(error_of(required + "checkpoint: {minutes: 0}\n"), HasSubstr("more than 0"));
  EXPECT_THAT(error_of(required + "metrics: {textfile: [x]}\n"), HasSubstr("is a text"));
}

}  // namespace
}  // namespace lockstep
