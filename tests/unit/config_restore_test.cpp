#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config.h"
#include "coordinator/config_loader.h"
#include "tests/support/config_text.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Restore, ShortFormsEqualLongOnes) {
  const std::vector<std::vector<std::string>> same = {
      {"fresh", "{mode: fresh}", "\"fresh\""},
      {"latest", "{mode: latest}", "{mode: latest, once: true, if_missing: error}"},
      {"auto", "{mode: latest, if_missing: fresh}", "'auto'"},
      {"30", "{iteration: 30}", "{mode: iteration, iteration: 30}"},
      {"0", "{iteration: 0}"},
      {"1@30", "\"1@30\"", "{attempt: 1, iteration: 30}",
       "{attempt: 1, iteration: 30, mode: iteration}"},
      {"{attempt: 3}", "{attempt: 3, mode: latest}"},
  };
  std::vector<Request> seen;
  for (const auto& forms : same) {
    const Request first = request_of(forms[0]);
    EXPECT_TRUE(first.present);
    for (const std::string& form : forms)
      EXPECT_EQ(request_of(form), first) << form;
    for (const std::string& form : forms) {
      EXPECT_EQ(request_of("", {"restore=" + form}), first) << form;
    }
    for (const Request& other : seen)
      EXPECT_NE(canonical_json(other), canonical_json(first));
    seen.push_back(first);
  }
  EXPECT_FALSE(request_of("").present);
}

struct SetCase {
  std::vector<std::string> sets;
  std::string restore;  // of the file
  std::string same_as;  // the section that it comes to
};

TEST(Set, OverridesAndDropsWhatWouldContradict) {
  const std::vector<SetCase> cases = {
      {{"restore.iteration=30"}, "", "30"},
      {{"restore=latest"}, "", "latest"},
      {{"restore=30"}, "latest", "30"},
      {{"restore=1@30"}, "latest", "1@30"},
      {{"restore={iteration: 31}"}, "latest", "31"},
      {{"restore.iteration=30"}, "latest", "30"},
      {{"restore.iteration=30"}, "auto", "30"},
      {{"restore.iteration=30"}, "fresh", "30"},
      {{"restore.iteration=30"}, "12", "30"},
      {{"restore.iteration=30"}, "1@12", "1@30"},
      {{"restore.iteration=30"},
       "{mode: iteration, iteration: 4, once: false}",
       "{iteration: 30, once: false}"},
      {{"restore.iteration=30"}, "{mode: latest, if_missing: fresh, attempt: 1}", "1@30"},
      {{"restore.mode=latest"}, "{iteration: 30}", "latest"},
      {{"restore.mode=latest"}, "1@30", "{attempt: 1}"},
      {{"restore.mode=latest"}, "auto", "auto"},
      {{"restore.mode=latest", "restore.if_missing=fresh"}, "30", "auto"},
      {{"restore.mode=fresh"},
       "{mode: iteration, iteration: 30, attempt: 1, skip_samples: 60}",
       "fresh"},
      {{"restore.mode=fresh"}, "auto", "fresh"},
      {{"restore.mode=fresh"}, "{from: ../x, scope: model, exclude: [a]}", "fresh"},
      {{"restore.mode=iteration", "restore.iteration=5"}, "auto", "5"},
      {{"restore.iteration=5", "restore.mode=iteration"}, "auto", "5"},
      {{"restore.iteration=5", "restore.mode=latest"}, "", "latest"},
      {{"restore.iteration=5", "restore=fresh"}, "", "fresh"},
      {{"restore.attempt=2"}, "", "{attempt: 2}"},
      {{"restore.attempt=2"}, "latest", "{attempt: 2}"},
      {{"restore.attempt=2"}, "30", "2@30"},
      {{"restore.once=false"}, "latest", "{mode: latest, once: false}"},
      {{"restore=latest"}, "{iteration: 30, attempt: 1, once: false}", "latest"},
      {{"restore=latest", "run.max_iterations=60"}, "", "latest"},
  };
  for (const SetCase& one : cases) {
    SCOPED_TRACE(testing::PrintToString(one.sets) + " on " + one.restore);
    EXPECT_EQ(request_of(one.restore, one.sets), request_of(one.same_as));
  }
}

TEST(Set, SetsAnyKeyAndWholeSections) {
  const Config config =
      parse(required, {"run.id=4242", "run.seed=7", "store=${SCRATCH}/b=c", "log={level: debug}",
                       "optimizer.betas=[0.8, 0.9]", "run.seed=8", "data.path=d"})
          .config;
  EXPECT_EQ(config.run.id, "4242");
  EXPECT_EQ(config.run.seed, 8);
  EXPECT_EQ(config.run.max_iterations, 10);
  EXPECT_EQ(config.store, "${SCRATCH}/b=c");
  EXPECT_EQ(config.log.level, "debug");
  EXPECT_EQ(config.optimizer.betas[0], 0.8);
  EXPECT_EQ(parse(required, {"data.path=d"}).paths.data, "/jobs/d");
  EXPECT_EQ(parse("", {"run.max_epochs=1", "store=s", "task.name=synthetic"}).config.store, "s");
  EXPECT_THAT(error_of(required, {"run={id: x}"}), HasSubstr("run.max_iterations"));
}

TEST(Set, ErrorsAreNamedAfterTheOption) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"restore.iteration=010", "--set restore.iteration: restore.iteration is a whole number"},
      {"restore.itaration=3",
       "--set restore.itaration: unknown key 'itaration' in restore; did you "
       "mean iteration?"},
      {"restor.iteration=3", "--set restor.iteration: unknown key 'restor'; did you mean restore?"},
      {"resume=true", "--set resume: unknown key 'resume'; here that is"},
      {"restore={itaration: 3}", "--set restore: unknown key 'itaration'"},
      {"restore={once: false}", "--set restore: restore.mode is missing"},
      {"restore={mode: iteration}", "--set restore: mode: iteration needs"},
      {"restore.if_missing=fresh", "--set restore.if_missing: restore.if_missing contradicts"},
      {"restore", "--set restore: there is no '='"},
      {"=3", "--set: this is no key"},
      {"", "--set: there is no '='"},
      {"run..id=3", "--set run..id: this is no key"},
      {"a\x03=", "--set a\\x03: this is no key"},
      {"run.id=", "--set run.id: run.id has no value"},
      {"run.id=~", "--set run.id: run.id has no value"},
      {"run.id=#3", "--set run.id: run.id has no value"},
      {"run.id=@3", "--set run.id: a text that begins with '@' needs quotes"},
      {"run.id=&a b", "--set run.id: anchors"},
      {"run.id=\"a", "--set run.id: "},
      {"run.seed=[1", "--set run.seed: this '[' is never closed"},
      {"run.seed.x=1", "--set run.seed.x: run.seed is a whole number, not a section"},
      {"store.x=1", "--set store.x: store is no section and has no keys"},
      {"run={seed: 1, seed: 2}", "--set run: duplicate key 'seed'"},
      {"run=5", "--set run: run is a section of keys, not '5'"},
      {"device=a\x01", "--set device: control character"},
      {"device=\xff", "--set device: not UTF-8"},
      {"device=cuda", "--set device: device: the task synthetic computes on the CPU"},
      {"data.path=$X", "--set data.path: data.path: '$'"},
  };
  for (const auto& [option, message] : cases) {
    EXPECT_THAT(error_of(required + "restore: 5\n", {option}), StartsWith(message)) << option;
  }
}

TEST(Restore, AValueThatIsNoneIsToldWhatToWrite) {
  const std::string no_value =
      "restore has no value; write latest to carry on, auto to carry on where there is a "
      "checkpoint, or fresh to start anew";
  const std::string fresh = "; write fresh, which starts anew and leaves what is there";
  const std::string latest = "; write latest, or auto where there may be no checkpoint yet";
  const std::string mode = "; write latest, with if_missing: fresh where there may be no";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", no_value},
      {"null", no_value},
      {"~", no_value},
      {"''", no_value},
      {"false", fresh},
      {"False", fresh},
      {"none", fresh},
      {"None", fresh},
      {"off", fresh},
      {"OFF", fresh},
      {"never", fresh},
      {"from-scratch", fresh},
      {"'null'", fresh},
      {"true", latest},
      {"True", latest},
      {"on", latest},
      {"last", latest},
      {"latest_checkpoint", latest},
      {"Latest", "; did you mean latest?"},
      {"lates", "; did you mean latest?"},
      {"3@latest", "; write {mode: latest, attempt: 3}"},
      {"best@3", "; write {mode: best, attempt: 3}"},
      {"x@latest", "; did you mean latest?"},
      {"checkpoints/3", "; a path is written {from: PATH}"},
      {"{mode: none}", fresh},
      {"{mode: false}", fresh},
      {"{mode: off}", fresh},
      {"{mode: never}", fresh},
      {"{mode: true}", mode},
      {"{mode: last}", mode},
      {"{mode: 1200}", "; write iteration: 1200"},
      {"{mode: 3@1200}", "; write restore: 3@1200"},
      {"{mode: auto}", "; write restore: auto"},
      {"{mode: Auto}", "; write restore: auto"},
      {"{mode: freh}", "; did you mean fresh?"},
      {"{mode: }", "restore.mode has no value; write fresh, latest, best or iteration, or leave"},
  };
  for (const auto& [value, message] : cases) {
    EXPECT_THAT(error_of(required + "restore: " + value + "\n"), HasSubstr(message)) << value;
    EXPECT_THAT(error_of(required, {"restore=" + value}), HasSubstr(message)) << value;
  }
}

TEST(Restore, ANameFromElsewhereIsToldWhatItIsHere) {
  const std::string latest = "here that is 'restore: latest', or 'restore: 1200'";
  const std::string fresh = "here that is 'restore: fresh'";
  const std::string automatic = "here that is 'restore: auto' (latest, but fresh";
  const std::string any_ranks = "here that is not needed: any number of ranks loads";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"resume: true", latest},
      {"resume: False", fresh},
      {"resume: 0", fresh},
      {"resume:", fresh},
      {"resume_from_checkpoint: null", fresh},
      {"resume_from_checkpoint: latest", "here that is 'restore: latest'"},
      {"resume_from_checkpoint: 3@40", "here that is 'restore: 3@40'"},
      {"resume_from_checkpoint: /x/checkpoint-30", latest},
      {"ckpt_path: best", "here that is 'restore: best'"},
      {"ckpt_path: a/b.ckpt", "here that is store with"},
      {"load_checkpoint: true", latest},
      {"load_universal_checkpoint: true", any_ranks},
      {"checkpoint: {load_universal: true}", any_ranks},
      {"load_optimizer_states: true", "here that is not needed"},
      {"load_optimizer_states: false", "here that is 'scope: model' in restore"},
      {"load_module_only: true", "here that is 'scope: model' in restore"},
      {"load_module_only: false", "here that is not needed"},
      {"automatic_checkpoint_naming: true", "here that is not needed: checkpoints are named"},
      {"total_limit: 3", "here that is checkpoint.keep_last"},
      {"skip_first_batches: 3", "here that is restore.skip_samples"},
      {"resume_if_exists: true", latest},
      {"resume_if_exists: false", fresh},
      {"resume_ignore_no_checkpoint: true", automatic},
      {"resume_ignore_no_checkpoint: false", latest},
      {"exit_on_missing_checkpoint: true", latest},
      {"exit_on_missing_checkpoint: false", automatic},
      {"resume_past_end: true", latest},
      {"resume_from_directory: x", "here that is store with"},
      {"resume_from_path: x", "here that is store with"},
      {"explicit_log_dir: x", "here that is store"},
      {"restore_path: x", "here that is store with"},
      {"storage_path: x", "here that is store"},
      {"resume_errored: true", automatic},
      {"checkpoint_score_attribute: loss", "here that is checkpoint.keep_best"},
      {"latest_step: 5", latest},
      {"best_step: 5", "here that is 'restore: best'"},
      {"restore_or_initialize: true", automatic},
      {"snapshot_path: x", "here that is store with 'restore: auto'"},
      {"auto_detect_ckpt_format: true", any_ranks},
      {"use_checkpoint_args: true", "here that is not needed: the configuration counts"},
      {"non_persistent_save_interval: 5", "here that is checkpoint.interval"},
      {"checkpoint: {enable: true}", "here that is checkpoint.interval"},
      {"checkpoint: {restore: fresh}", "here that is 'restore: fresh', at the top level"},
      {"checkpoint: {restore: none}", "here that is 'restore: fresh', at the top level"},
      {"checkpoint: {resume: true}", latest + " for a certain iteration, at the top level"},
      {"restore: {step: 5}", "here that is restore.iteration"},
  };
  for (const auto& [line, message] : cases)
    EXPECT_THAT(error_of(required + line + "\n"), HasSubstr(message)) << line;
}

TEST(Set, LeavesTheRestOfTheFileToItsChecks) {
  EXPECT_THAT(error_of(required + "stor: 3\n", {"restore=latest"}), StartsWith("train.yaml:4:1: "));
  EXPECT_THAT(error_of(required + "restore:\n", {"restore.iteration=3"}),
              StartsWith("train.yaml:4:1: restore has no value"));
}

}  // namespace
}  // namespace lockstep
