#include "common/log.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

template <typename Body>
std::string printed(const LogConfig& config, bool prints, Body&& body) {
  ::testing::internal::CaptureStderr();
  body(Log(config, prints));
  return ::testing::internal::GetCapturedStderr();
}

TEST(EscapeControls, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(escape_controls("plain \xc3\xa9"), "plain \xc3\xa9");
  EXPECT_EQ(escape_controls("a\x1b[2J\n\r\t\x7f"), R"(a\x1b[2J\x0a\x0d\x09\x7f)");
  EXPECT_EQ(escape_controls(std::string_view("\0", 1)), R"(\x00)");
  EXPECT_EQ(escape_controls("\xc2\x9b"
                            "2J \xc2\xa0 \xc2"),
            "\\xc2\\x9b"
            "2J \xc2\xa0 \xc2")
      << "C1 in UTF-8";
  EXPECT_EQ(escape_controls("a\xe2\x80\xae"
                            "b\xe2\x81\xa6 \xd8\x9c \xe2\x80\x94 \xe2\x80"),
            "a\\xe2\\x80\\xae"
            "b\\xe2\\x81\\xa6 \\xd8\\x9c \xe2\x80\x94 \xe2\x80")
      << "what turns the direction of text; a dash does not";
}

TEST(Log, TextIsALineWithATime) {
  const auto text = printed({}, true, [](const Log& log) { log.info("hello"); });
  EXPECT_THAT(text, MatchesRegex("[0-9][0-9]:[0-9][0-9]:[0-9][0-9] hello\n"));
}

TEST(Log, NoMessageCanLookLikeAnotherOne) {
  const auto text =
      printed({}, true, [](const Log& log) { log.warning("bad\n12:00:00 \x1b[1mforged"); });
  EXPECT_THAT(text, HasSubstr("warning: bad\n         12:00:00 \\x1b[1mforged\n"));
}

TEST(Log, OtherRanksPrintNothing) {
  EXPECT_EQ(printed({}, false, [](const Log& log) { log.error("x"); }), "");
}

TEST(Log, LevelsBelowTheConfiguredOneAreLeftOut) {
  const LogConfig config{.json = false, .level = "warning"};
  const auto text = printed(config, true, [](const Log& log) {
    log.debug("d");
    log.info("i");
    log.warning("w");
    log.error("e");
    EXPECT_FALSE(log.has_bar());
  });
  EXPECT_THAT(text, Not(HasSubstr(" i\n")));
  EXPECT_THAT(text, HasSubstr("warning: w\n"));
  EXPECT_THAT(text, HasSubstr("error: e\n"));
}

TEST(Log, JsonIsOneObjectALine) {
  const LogConfig config{.json = true, .level = "info"};
  const auto text = printed(config, true, [](const Log& log) {
    log.info("a \"b\"\n\xff", {{"iteration", "3"}, {"loss", json_number(HUGE_VAL)}});
  });
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto object = nlohmann::json::parse(text);
  EXPECT_EQ(object["level"], "info");
  EXPECT_EQ(object["iteration"], 3);
  EXPECT_TRUE(object["loss"].is_null());
  EXPECT_THAT(object["message"].get<std::string>(), HasSubstr("a \"b\"\n"));
  EXPECT_THAT(object["time"].get<std::string>(),
              MatchesRegex("[0-9]*-[0-9]*-[0-9]*T[0-9:]*[.][0-9][0-9][0-9][+-][0-9]*:[0-9]*"));
}

}  // namespace
}  // namespace lockstep
