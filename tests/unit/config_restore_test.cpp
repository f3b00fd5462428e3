#include "coordinator/config_restore.h"

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
      {"ckpt_path=null", "--set ckpt_path: unknown key 'ckpt_path'; here that is 'restore: fresh'"},
      {"trainer.ckpt_path=null",
       "--set trainer.ckpt_path: unknown key 'trainer'; ckpt_path in it: here that is 'restore: "
       "fresh', at the top level"},
      {"restore={latest}", "--set restore: unknown key 'latest' in restore; write restore: latest"},
      {"task=resnet",
       "--set task: task is a section of keys, not 'resnet'; write {name: VALUE}: task.name is "
       "fashion_mnist, language_model"},
      {"task=synthetic", "--set task: task is a section of keys, not 'synthetic'; write {name: s"},
      {"log=debug", "--set log: log is a section of keys, not 'debug'; write {level: debug}"},
      {"evaluate=often",
       "--set evaluate: evaluate is a section of keys, not 'often'; write {interval: VALUE}: "
       "evaluate.interval is a whole number"},
      {"control=9400",
       "--set control: control is a section of keys, not '9400'; write {listen: VALUE}: "
       "control.listen is off, 127.0.0.1:PORT (0: any) or unix:PATH, not '9400'; write "
       "127.0.0.1:9400"},
      {"control.listen=9400",
       "--set control.listen: control.listen is off, 127.0.0.1:PORT (0: any) or unix:PATH, not "
       "'9400'; write 127.0.0.1:9400"},
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
      {"{mode: hpc}", "; write restore: auto"},
      {"{mode: auto, max_lost_iterations: 9}", "; write mode: latest, if_missing: fresh"},
      {"{mode: auto, if_missing: fresh}", "not 'auto'; write mode: latest"},
      {"{mode: 3@1200, once: false}", "; write attempt: 3, iteration: 1200"},
      {"{mode: ckpt-1200, once: false}", "; write iteration: 1200"},
      {"{latest}", "unknown key 'latest' in restore; write restore: latest"},
      {"{auto}", "; write restore: auto"},
      {"{fresh}", "; write restore: fresh"},
      {"{best: }", "; write restore: best"},
      {"{1200}", "; write restore: 1200"},
      {"{3@1200}", "; write restore: 3@1200"},
      {"{none}", "; write restore: fresh"},
      {"{last}", "; write restore: latest"},
      {"{latest, once: false}", "unknown key 'latest' in restore; write mode: latest"},
      {"{once: false, auto: }", "; write mode: latest, if_missing: fresh"},
      {"{1200, scope: model}", "; write iteration: 1200"},
      {"[latest]", "not a list; write restore: latest"},
      {"disabled", fresh},
      {"disable", fresh},
      {"hpc", "; write auto"},
      {"allow", "; write auto"},
      {"ckpt-1800", "; write 1800"},
      {"iter_0001800", "; write 1800"},
      {"x/ckpt-1800", "; a path is written {from: PATH}, a checkpoint of this run 1800"},
      {"{mode: freh}", "; did you mean fresh?"},
      {"{mode: }", "restore.mode has no value; write fresh, latest, best or iteration, or leave"},
  };
  for (const auto& [value, message] : cases) {
    EXPECT_THAT(error_of(required + "restore: " + value + "\n"), HasSubstr(message)) << value;
    EXPECT_THAT(error_of(required, {"restore=" + value}), HasSubstr(message)) << value;
  }
}

TEST(Restore, TheIterationInACheckpointsNameElsewhere) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"checkpoint-1800", "1800"},
      {"global_step1800", "1800"},
      {"ckpt-1800", "1800"},
      {"model.ckpt-1800", "1800"},
      {"step_1800", "1800"},
      {"iter_0001800", "1800"},
      {"iter_0000000", "0"},
      {"ep0-ba1200", "1200"},
      {"x/epoch=3-step=1800.ckpt", "1800"},
      {"/x/checkpoint-1800/", "1800"},
      {"", ""},
      {"/", ""},
      {"1800", ""},
      {"resnet50", ""},
      {"alibaba3", ""},
      {"run-3", ""},
      {"step", ""},
      {"step_1800/x", ""},
      {"step_1234567890123456", ""},
  };
  for (const auto& [name, iteration] : cases)
    EXPECT_EQ(iteration_in_name(name), iteration) << name;
}

TEST(Set, LeavesTheRestOfTheFileToItsChecks) {
  EXPECT_THAT(error_of(required + "stor: 3\n", {"restore=latest"}), StartsWith("train.yaml:4:1: "));
  EXPECT_THAT(error_of(required + "restore:\n", {"restore.iteration=3"}),
              StartsWith("train.yaml:4:1: restore has no value"));
}

}  // namespace
}  // namespace lockstep
