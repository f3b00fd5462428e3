#include "coordinator/option_hints.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace lockstep {
namespace {

struct Row {
  std::vector<std::string> words;
  std::string cause;
  std::string advice;
};

void expect_hints(const std::vector<std::string>& known, const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    SCOPED_TRACE(row.words.front());
    const auto hint = hint_at(row.words, known);
    EXPECT_EQ(hint.cause, row.cause);
    EXPECT_EQ(hint.advice, row.advice);
  }
}

TEST(OptionHints, OfACommandThatSetsKnowKeysAndNamesFromElsewhere) {
  const std::string one =
      "here that is --set restore=latest, or --set restore=1200 for a certain "
      "iteration";
  expect_hints(
      {"--help", "--set", "--verify"},
      {{{"train.yaml", "--set", "--x", "--verify"}, "", ""},
       {{"--set=a=1", "--verify"}, "", ""},
       {{"--resume"}, "unknown option '--resume'", one},
       {{"--resume", "train.yaml"}, "unknown option '--resume'", one},
       {{"--resume=no"}, "unknown option '--resume'", "here that is --set restore=fresh"},
       {{"--resume-from-checkpoint", "x"}, "unknown option '--resume-from-checkpoint'", one},
       {{"--resume_from_checkpoint", "best"},
        "unknown option '--resume_from_checkpoint'",
        "here that is --set restore=best"},
       {{"--load"},
        "unknown option '--load'",
        "here that is store with --set restore=latest, or restore.from for another store"},
       {{"--fresh"}, "unknown option '--fresh'", "here that is --set restore=fresh"},
       {{"--latest"}, "unknown option '--latest'", one},
       {{"--finetune"}, "unknown option '--finetune'", "here that is 'scope: model' in restore"},
       {{"--restore", "latest"}, "unknown option '--restore'", "write --set restore=latest"},
       {{"--restore=1200"}, "unknown option '--restore'", "write --set restore=1200"},
       {{"--restore", "3@1200"}, "unknown option '--restore'", "write --set restore=3@1200"},
       {{"--restore", "none"}, "unknown option '--restore'", "write --set restore=fresh"},
       {{"--restore", "train.yaml"}, "unknown option '--restore'", "write --set restore=latest"},
       {{"--restore", "x/y"}, "unknown option '--restore'", "write --set restore.from=x/y"},
       {{"--restore", "x/ckpt-7"}, "unknown option '--restore'", "write --set restore=7"},
       {{"--restore", "{iteration: 7}"},
        "unknown option '--restore'",
        "write --set restore={iteration: 7}"},
       {{"--restore", "--verify"}, "unknown option '--restore'", "write --set restore=latest"},
       {{"--restore.iteration=3"},
        "unknown option '--restore.iteration'",
        "write --set restore.iteration=3"},
       {{"--ckpt-step", "7"},
        "unknown option '--ckpt-step'",
        "here that is --set restore.iteration=7"},
       {{"--seed", "7"}, "unknown option '--seed'", "write --set run.seed=7"},
       {{"--max-iterations"},
        "unknown option '--max-iterations'",
        "write --set run.max_iterations=VALUE"},
       {{"--interval", "5"}, "unknown option '--interval'", ""},  // of several sections
       {{"--optimizer", "sgd"}, "unknown option '--optimizer'", ""},
       {{"--verfy"}, "unknown option '--verfy'; did you mean '--verify'?", ""},
       {{"--xyzzy"}, "unknown option '--xyzzy'", ""},
       {{"-x"}, "unknown option '-x'", ""},
       {{"--"}, "unknown option '--'", ""},
       {{"--\x1b[2J"}, "unknown option '--\\x1b[2J'", ""},
       {{"train.yaml", "restore=latest"},
        "unexpected argument 'restore=latest'",
        "write --set restore=latest"},
       {{"train.yaml", "restore=none"},
        "unexpected argument 'restore=none'",
        "write --set restore=fresh"},
       {{"train.yaml", "resume=false"},
        "unexpected argument 'resume=false'",
        "here that is --set restore=fresh"},
       {{"train.yaml", "+resume=false"},
        "unexpected argument '+resume=false'",
        "here that is --set restore=fresh"},
       {{"train.yaml", "exp_manager.resume_if_exists=false"},
        "unexpected argument 'exp_manager.resume_if_exists=false'",
        "here that is --set restore=fresh"},
       {{"train.yaml", "trainer.max_steps=10"},
        "unexpected argument 'trainer.max_steps=10'",
        "here that is --set run.max_iterations=10"},
       {{"train.yaml", "trainer.seed=7"},
        "unexpected argument 'trainer.seed=7'",
        "write --set run.seed=7"},
       {{"train.yaml", "seed=7"}, "unexpected argument 'seed=7'", "write --set run.seed=7"},
       {{"train.yaml", "restore.mode=auto"},
        "unexpected argument 'restore.mode=auto'",
        "write --set restore=auto"},
       {{"train.yaml", "restore.mode=latest"},
        "unexpected argument 'restore.mode=latest'",
        "write --set restore.mode=latest"},
       {{"lr=0.1/train.yaml", "b"}, "", ""},
       {{"train.yaml", "optimizer.betas=[0.9,0.99]"},
        "unexpected argument 'optimizer.betas=[0.9,0.99]'",
        "write --set optimizer.betas=[0.9,0.99]"},
       {{"--device", "gpu"}, "unknown option '--device'", "write --set device=cuda"},
       {{"--device", "cpu"}, "unknown option '--device'", "write --set device=cpu"},
       {{"--bf16", "true"}, "unknown option '--bf16'", "here that is --set precision=VALUE"},
       {{"train.yaml", "trainer.max_steps=null"},
        "unexpected argument 'trainer.max_steps=null'",
        "here that is --set run.max_iterations=VALUE"},
       {{"--ignore-keys", "head"},
        "unknown option '--ignore-keys'",
        "here that is --set restore.exclude=VALUE"},
       {{"--resume_from_checkpoint", "1800"},
        "unknown option '--resume_from_checkpoint'",
        "here that is --set restore=1800"},
       {{"--step", "1800"}, "unknown option '--step'", "here that is --set restore.iteration=1800"},
       {{"--load-step", "-1"},
        "unknown option '--load-step'",
        "here that is --set restore=auto (latest, but fresh where there is no checkpoint yet)"},
       {{"--config", "t.yaml"},
        "unknown option '--config'",
        "it stands alone, without an option: write t.yaml"},
       {{"-c", "t.yaml"},
        "unknown option '-c'",
        "it stands alone, without an option: write t.yaml"},
       {{"--config=t.yaml"},
        "unknown option '--config'",
        "it stands alone, without an option: write t.yaml"},
       {{"--config-name", "t"},
        "unknown option '--config-name'",
        "it stands alone, without an option: write CONFIG"},
       {{"train.yaml", "a=b"}, "", ""}});
}

TEST(OptionHints, OfACommandThatDoesNotSetNameItsOptionsAlone) {
  expect_hints({"--help", "--json"},
               {{{"--resume"}, "unknown option '--resume'", ""},
                {{"--jsn"}, "unknown option '--jsn'; did you mean '--json'?", ""},
                {{"store", "restore=latest"}, "", ""}});
}

TEST(OptionHints, TheParsersWordsAreOurs) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"The following argument was not expected: x", "unexpected argument 'x'"},
      {"The following arguments were not expected: x y", "unexpected arguments 'x y'"},
      {"CONFIG is required", "CONFIG is missing"},
      {"--set: 1 required TEXT missing", "--set has no value"},
      {"--scope: weights not in {full,model}", "--scope is one of full,model, not 'weights'"},
      {"--scope:  not in {full,model}", "--scope is one of full,model, not ''"},
      {"x not in {", "x not in {"},
      {"anything else", "anything else"},
      {"", ""},
  };
  for (const auto& [theirs, ours] : rows)
    EXPECT_EQ(in_our_words(theirs), ours);
}

}  // namespace
}  // namespace lockstep
