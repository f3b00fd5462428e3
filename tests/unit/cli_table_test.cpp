#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cli/table.h"
#include "coordinator/cli/text_width.h"

namespace lockstep::cli {
namespace {

using ::testing::ElementsAre;

TEST(TextWidth, CountsColumnsNotBytes) {
  struct Row {
    const char* text;
    std::size_t columns;
  };
  const std::vector<Row> rows = {
      {"", 0},
      {"abc", 3},
      {"├─╯", 3},
      {"日本", 4},
      {"e\xcc\x81", 1},          // a combining accent
      {"\xf0\x9f\x9a\x80", 2},   // a rocket
      {"\xff\xfe", 2},           // no UTF-8 at all
      {"a\xe2\x82", 3},          // cut off in a character
      {"\xc3(", 2},              // a lead byte without its next
      {"\xf4\x90\x80\x80!", 2},  // beyond Unicode: one column, whatever it is
  };
  for (const auto& row : rows)
    EXPECT_EQ(width_of(row.text), row.columns) << row.text;
}

TEST(TextWidth, ACutTextSaysSo) {
  struct Row {
    const char* text;
    std::size_t columns;
    bool unicode;
    const char* cut;
  };
  const std::vector<Row> rows = {
      {"abcdef", 6, false, "abcdef"}, {"abcdef", 5, false, "ab..."},
      {"abcdef", 5, true, "abcd…"},   {"abcdef", 3, false, "..."},
      {"abcdef", 2, false, ".."},     {"abcdef", 1, true, "…"},
      {"abcdef", 0, true, ""},        {"日本語", 5, true, "日本…"},
      {"日本語", 4, true, "日…"},     {"", 0, false, ""},
  };
  for (const auto& row : rows)
    EXPECT_EQ(cut_to(row.text, row.columns, row.unicode), row.cut) << row.text << row.columns;
}

TEST(TextWidth, LinesBreakAtBlanksWhereThereAreAny) {
  EXPECT_THAT(wrapped("", 5), ElementsAre(""));
  EXPECT_THAT(wrapped("two words", 9), ElementsAre("two words"));
  EXPECT_THAT(wrapped("two words", 8), ElementsAre("two", "words"));
  EXPECT_THAT(wrapped("two words", 3), ElementsAre("two", "wor", "ds"));
  EXPECT_THAT(wrapped("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrapped(" abcdef", 4), ElementsAre(" abc", "def"));
  EXPECT_THAT(wrapped("日本", 1), ElementsAre("日", "本")) << "it must come to an end";
  EXPECT_THAT(wrapped("ab", 0), ElementsAre("a", "b"));
}

TEST(Table, AlignsCharactersNotBytesAndEndsLinesWithoutBlanks) {
  EXPECT_EQ(table({{"●", "a"}, {"long", ""}, {"x", "b", "c"}}),
            "●     a\n"
            "long\n"
            "x     b  c\n");
}

TEST(Table, EscapesControlsAndPaintsOnlyWhereThatIsWanted) {
  const std::vector<Row> rows = {{{"a\x1b[31m\n", Colour::kRed}, "b"}};
  EXPECT_EQ(table(rows), "a\\x1b[31m\\x0a  b\n");
  EXPECT_EQ(table(rows, {.colour = true}), "\x1b[31ma\\x1b[31m\\x0a\x1b[0m  b\n");
}

const std::vector<Row> kWide = {{"NAME", "SIZE", "WHY"},
                                {"1@20", "1 KiB", "shard 1: checksum of block 0 is wrong"},
                                {"1@10", "1 KiB", "-"}};

TEST(Table, WhatIsTooWideGoesOnBelowInItsColumn) {
  EXPECT_EQ(table(kWide, {.columns = 32}),
            "NAME  SIZE   WHY\n"
            "1@20  1 KiB  shard 1: checksum\n"
            "             of block 0 is wrong\n"
            "1@10  1 KiB  -\n");
  EXPECT_EQ(table(kWide, {.columns = 50}), table(kWide)) << "it fits to the last column";
}

TEST(Table, WhatIsTooWideIsCutWhereRowsStayLines) {
  EXPECT_EQ(table(kWide, {.columns = 30}, TooLong::kIsCut),
            "NAME  SIZE   WHY\n"
            "1@20  1 KiB  shard 1: check...\n"
            "1@10  1 KiB  -\n");
  EXPECT_EQ(table(kWide, {.unicode = true, .columns = 30}, TooLong::kIsCut),
            "NAME  SIZE   WHY\n"
            "1@20  1 KiB  shard 1: checksu…\n"
            "1@10  1 KiB  -\n");
}

TEST(Table, WhatNamesARowStaysWholeAsLongAsItCan) {
  const std::vector<Row> rows = {{"model.layer0.weight", "F32 [1000, 1000]"}};
  EXPECT_EQ(table(rows, {.columns = 30}),
            "model.layer0.weight  F32\n"
            "                     [1000,\n"
            "                     1000]\n");
}

TEST(Table, NoLineIsEverWiderThanTheScreen) {
  for (const auto too_long : {TooLong::kWraps, TooLong::kIsCut})
    for (std::size_t columns = 7; columns < 60; ++columns) {
      const auto text = table(kWide, {.columns = columns}, too_long);
      std::size_t begin = 0;
      for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos;
           begin = end + 1)
        EXPECT_LE(width_of(text.substr(begin, end - begin)), columns) << text;
    }
}

}  // namespace
}  // namespace lockstep::cli
