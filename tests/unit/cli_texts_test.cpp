#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/version.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/completion.h"
#include "coordinator/cli/help.h"
#include "coordinator/cli/store_reading.h"

namespace lockstep::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

struct TestCommand {
  TestCommand() {
    command.name = "look";
    command.purpose = "looks";
    command.arguments = {store_argument(store), checkpoint_argument(checkpoint)};
    command.arguments[1].required = false;
    command.options = {flag("--json", json, "JSON"),
                       {"--scope", "full|model", "what", &scope, {"full", "model"}},
                       {"--set", "K=V", "sets", &sets}};
    commands = {command};
  }
  Parsed parse(std::vector<const char*> words) {
    words.insert(words.begin(), "lockstep");
    return parse_command_line(commands, static_cast<int>(words.size()), words.data());
  }
  std::string mistake(const std::vector<const char*>& words) {
    const auto parsed = parse(words);
    const auto* found = std::get_if<Complaint>(&parsed);
    return found != nullptr ? found->cause : "no mistake";
  }

  std::string store;
  std::string checkpoint;
  std::string scope;
  std::vector<std::string> sets;
  bool json = false;
  Command command;
  std::vector<Command> commands;
};

TEST(CommandLine, FillsInWhatWasGiven) {
  TestCommand test;
  const auto parsed = test.parse(
      {"look", "look", "--set", "a=1", "3@10", "--set", "b=2", "--json", "--scope=model"});
  ASSERT_TRUE(std::holds_alternative<const Command*>(parsed));
  EXPECT_EQ(test.store, "look") << "a store may have a command's name";
  EXPECT_EQ(test.checkpoint, "3@10");
  EXPECT_EQ(test.sets, (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_TRUE(test.json);
  EXPECT_EQ(test.scope, "model");
}

TEST(CommandLine, NamesAMistakeAndTheNearestWord) {
  TestCommand test;
  EXPECT_EQ(test.mistake({}), "no command");
  EXPECT_EQ(test.mistake({"lok"}), "unknown command 'lok'; did you mean 'look'?");
  EXPECT_EQ(test.mistake({"xyzzy"}), "unknown command 'xyzzy'");
  EXPECT_EQ(test.mistake({"list"}), "unknown command 'list'; here that is 'ls'");
  EXPECT_EQ(test.mistake({"help", "lok"}), "unknown command 'lok'; did you mean 'look'?");
  EXPECT_EQ(test.mistake({"--jsn"}), "unknown option '--jsn'");
  EXPECT_EQ(test.mistake({"look", "s", "--jsn"}), "unknown option '--jsn'; did you mean '--json'?");
  EXPECT_EQ(test.mistake({"look"}), "STORE is missing");
  const auto parsed = test.parse({"look", "s", "--resume"});
  EXPECT_EQ(std::get<Complaint>(parsed).cause, "unknown option '--resume'");
  EXPECT_THAT(std::get<Complaint>(parsed).advice, StartsWith("here that is --set restore=latest"));
  EXPECT_EQ(test.mistake({"look", "s", "1", "2"}), "unexpected argument '2'");
  EXPECT_EQ(test.mistake({"look", "s", "--scope", "all"}),
            "--scope is one of full,model, not 'all'");
}

TEST(CommandLine, HelpIsOfTheCommandThatWasNamed) {
  TestCommand test;
  EXPECT_EQ(std::get<Usage>(test.parse({"look", "--help"})).text, help_of(test.command));
  EXPECT_EQ(std::get<Usage>(test.parse({"--help"})).text, help_of(test.commands));
  EXPECT_EQ(std::get<Usage>(test.parse({"help"})).text, help_of(test.commands));
  EXPECT_EQ(std::get<Usage>(test.parse({"help", "look"})).text, help_of(test.command));
}

TEST(CommandLine, VersionIsTheProgramsItsCommitsItsBuildsAndItsLibraries) {
  TestCommand test;
  EXPECT_THAT(std::get<Usage>(test.parse({"--version"})).text,
              MatchesRegex("lockstep [0-9]+\\.[0-9]+\\.[0-9]+( \\([0-9a-z.-]+\\))?\n"
                           "[^\n]+, [A-Za-z]+ [0-9.]+\n"
                           "yaml-cpp [0-9.]+,[^\n]* Chart.js [0-9.]+\n"));
  EXPECT_EQ(version_line("lockstepd", "b559bf4"), "lockstepd " LOCKSTEP_VERSION " (b559bf4)");
  EXPECT_EQ(version_line("lockstepd", ""), "lockstepd " LOCKSTEP_VERSION);
}

TEST(Complaint, HasACauseAndAnAdvice) {
  struct Row {
    ErrorCode code;
    const char* text;
    const char* cause;
    const char* advice;
  };
  const std::vector<Row> rows = {
      {ErrorCode::kInvalidConfig, "no store at x; name one", "no store at x", "name one"},
      {ErrorCode::kInUse, "in use: by a (b; c); wait; or stop it", "in use: by a (b; c)",
       "wait; or stop it"},
      {ErrorCode::kInvalidConfig, "a) b; c", "a) b", "c"},
      {ErrorCode::kInvalidConfig, "a (b; c", "a (b; c", "lockstep look --help shows the use"},
      {ErrorCode::kInvalidConfig, "'x' is wrong", "'x' is wrong",
       "lockstep look --help shows the use"},
      {ErrorCode::kInternal, "oh", "oh", "this is a bug"},
  };
  for (const auto& row : rows) {
    const auto complaint = complaint_of(row.code, row.text, "look");
    EXPECT_EQ(complaint.cause, row.cause);
    EXPECT_EQ(complaint.advice, row.advice);
  }
  for (const auto code : {ErrorCode::kIo, ErrorCode::kDamaged, ErrorCode::kInUse})
    EXPECT_THAT(complaint_of(code, "read /s: Input/output error", "look").advice,
                HasSubstr("lockstep "));
}

TEST(Help, EveryCommandSaysHowItIsUsedAndWhatItsExitCodesMean) {
  const auto commands = all_commands();
  const auto overview = help_of(commands);
  for (const auto& command : commands) {
    const auto text = help_of(command);
    EXPECT_THAT(text, HasSubstr("lockstep " + command.name));
    EXPECT_THAT(text, HasSubstr("\nexit codes:\n"));
    EXPECT_THAT(overview, HasSubstr("\n  " + command.name + " "));
    EXPECT_THAT(text, HasSubstr("\nexamples:\n"));
    for (const auto& option : command.options)
      EXPECT_THAT(text, HasSubstr("\n  " + option.name)) << command.name;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
      EXPECT_LE(end - begin, 100U) << text.substr(begin, end - begin);
  }
  EXPECT_EQ(usage_of(TestCommand().command),
            "lockstep look STORE [CHECKPOINT] [--json] [--scope full|model] [--set K=V]...");
}

TEST(Texts, BytesAndRates) {
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(rate_text(3'000'000'000, 2), "1.50 GB/s");
  EXPECT_EQ(age_text("yesterday"), "?");
}

}  // namespace
}  // namespace lockstep::cli
