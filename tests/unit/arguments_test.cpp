#include "coordinator/daemon/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

Arguments parsed(std::vector<const char*> words, bool own_loop = false) {
  words.insert(words.begin(), own_loop ? "/opt/bin/mine" : "/opt/bin/lockstepd");
  return parse_arguments(static_cast<int>(words.size()), words.data(), own_loop);
}

TEST(Arguments, AreFilledIn) {
  const auto arguments = parsed({"train.yaml", "--set", "restore=latest", "--set", "run.id=a"});
  EXPECT_FALSE(arguments.exit_code) << arguments.text;
  EXPECT_EQ(arguments.config, "train.yaml");
  EXPECT_EQ(arguments.overrides, (std::vector<std::string>{"restore=latest", "run.id=a"}));
}

// A cause and an advice, a line each.
TEST(Arguments, AMistakeIsToldWhatToWrite) {
  const std::string one =
      "here that is --set restore=latest, or --set restore=1200 for a certain iteration\n";
  struct Row {
    std::vector<const char*> words;
    std::string text;
  };
  const std::vector<Row> rows = {
      {{"train.yaml", "--resume"}, "lockstepd: unknown option '--resume'\n" + one},
      {{"--resume-from-checkpoint", "x", "train.yaml"},
       "lockstepd: unknown option '--resume-from-checkpoint'\n" + one},
      {{"train.yaml", "--restore", "latest"},
       "lockstepd: unknown option '--restore'\nwrite --set restore=latest\n"},
      {{"train.yaml", "--restore=1200"},
       "lockstepd: unknown option '--restore'\nwrite --set restore=1200\n"},
      {{"train.yaml", "restore=latest"},
       "lockstepd: unexpected argument 'restore=latest'\nwrite --set restore=latest\n"},
      {{"train.yaml", "--evalute"},
       "lockstepd: unknown option '--evalute'; did you mean '--evaluate'?\n"
       "lockstepd --help shows the use\n"},
      {{"train.yaml", "--xyzzy"},
       "lockstepd: unknown option '--xyzzy'\nlockstepd --help shows the use\n"},
      {{}, "lockstepd: CONFIG is missing\nlockstepd --help shows the use\n"},
      {{"train.yaml", "--check", "--evaluate"},
       "lockstepd: --check and --evaluate: one at a time\nlockstepd --help shows the use\n"},
  };
  for (const auto& row : rows) {
    const auto arguments = parsed(row.words);
    EXPECT_EQ(arguments.exit_code, 2);
    EXPECT_EQ(arguments.text, row.text);
  }
  EXPECT_EQ(parsed({"a", "b"}).text,
            "lockstepd: unexpected argument 'b'\nlockstepd --help shows the use\n");
  EXPECT_EQ(parsed({"a", "--set"}).text,
            "lockstepd: --set has no value\nlockstepd --help shows the use\n");
  EXPECT_EQ(parsed({"train.yaml", "--load"}, true).text,
            "mine: unknown option '--load'\nhere that is store with --set restore=latest, or "
            "restore.from for another store\n");
  EXPECT_EQ(parsed({"train.yaml", "--check"}, true).text,
            "mine: --check and --evaluate: not for a program with a training loop of its own\n"
            "mine --help shows the use\n");
}

}  // namespace
}  // namespace lockstep
