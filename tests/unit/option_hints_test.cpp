#include "coordinator/option_hints.h"

#include <string>
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
       {{"train.yaml", "a=b"}, "", ""}});
}

TEST(OptionHints, OfACommandThatDoesNotSetNameItsOptionsAlone) {
  expect_hints({"--help", "--json"},
               {{{"--resume"}, "unknown option '--resume'", ""},
                {{"--jsn"}, "unknown option '--jsn'; did you mean '--json'?", ""},
                {{"store", "restore=latest"}, "", ""}});
}

}  // namespace
}  // namespace lockstep
