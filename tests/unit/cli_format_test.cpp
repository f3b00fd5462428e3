#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "coordinator/cli/line_format.h"
#include "coordinator/cli/listing.h"
#include "tests/support/expect_error.h"
#include "tests/support/store_on_disk.h"

namespace lockstep::cli {
namespace {

using lockstep::testing::error_of;
using ::testing::HasSubstr;

const std::vector<std::string> kFields = {"attempt", "state", "why", "metrics", "pinned"};
const std::vector<std::string> kObjects = {"metrics"};

std::string formatted(const std::string& format) {
  const nlohmann::ordered_json object = {{"attempt", 3},
                                         {"state", "a\x1b[31m\nb\t\xc3\xa4"},
                                         {"why", nullptr},
                                         {"metrics", {{"loss", 0.25}, {"a.b", 1e-7}}},
                                         {"pinned", false}};
  return format_line(parse_line_format(format, kFields, kObjects), object);
}

TEST(LineFormat, PutsValuesWhereFieldsAreNamed) {
  struct Row {
    const char* format;
    const char* line;
  };
  const std::vector<Row> rows = {
      {"plain text", "plain text"},
      {"{attempt}", "3"},
      {"{attempt}@{attempt}", "3@3"},
      {"<{attempt}{pinned}>", "<3false>"},
      {"{why}", "-"},
      {"{metrics}", R"({"loss":0.25,"a.b":1e-07})"},
      {"{metrics.loss} {metrics.a.b}", "0.25 1e-07"},
      {"{metrics.accuracy}", "-"},
      {"{state}", "a\\x1b[31m\\x0ab\\x09\xc3\xa4"},
      {R"(a\tb\nc\\t)", "a\tb\nc\\t"},
      {"{{attempt}} {{}}", "{attempt} {}"},
      {"{{{attempt}}}", "{3}"},
      {"%s %n", "%s %n"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(formatted(row.format), row.line) << row.format;
}

TEST(LineFormat, AMistakeNamesTheNearestFieldAndAll) {
  struct Row {
    const char* format;
    const char* cause;
  };
  const std::vector<Row> rows = {
      {"", "it is empty; write fields in braces, as in '{attempt}'; fields are attempt, state"},
      {"{atempt}", "no field {atempt}, did you mean {attempt}?"},
      {"{Attempt}", "did you mean {attempt}?"},
      {"{xyzzyxyzzy}", "no field {xyzzyxyzzy}; fields are attempt, state, why, metrics and pinned"},
      {"{}", "no field {}"},
      {"{ attempt }", "no field"},
      {"{attempt.x}", "no field {attempt.x}"},
      {"{metrics.}", "no field {metrics.}"},
      {"{mertics.loss}", "did you mean {metrics}?"},
      {"{attempt", "a '{' is not closed"},
      {"attempt}", "a '}' stands alone"},
      {"{{attempt}", "a '}' stands alone"},
      {"\\x", "'\\x' is no escape"},
      {"\\", "'\\' is no escape"},
  };
  for (const auto& row : rows)
    EXPECT_THAT(error_of(ErrorCode::kInvalidConfig, [&] { formatted(row.format); }),
                HasSubstr(row.cause))
        << row.format;
  EXPECT_THAT(error_of(ErrorCode::kInvalidConfig, [] { formatted("{x}"); }),
              HasSubstr("{metrics.NAME}"));
}

TEST(LineFormat, OfAListingKnowsAllFieldsOfItsJson) {
  lockstep::testing::StoreOnDisk disk("format");
  disk.attempt("a");
  disk.checkpoint({1, 10}, 2, true, {{"loss", 0.5}});
  disk.checkpoint({1, 20});
  const auto listing = list_store(disk.files(), disk.path(), true);
  const auto json = nlohmann::json::parse(listing_json(listing));
  for (const auto& [name, value] : json["checkpoints"][0].items())
    EXPECT_NO_THROW(parse_listing_format("{" + name + "}")) << name;
  const auto all = error_of(ErrorCode::kInvalidConfig, [] { parse_listing_format("{?}"); });
  for (const auto& name : {"attempt", "iteration", "state", "eligible", "bytes", "world_size",
                           "created", "metrics", "best", "pinned", "why"}) {
    EXPECT_TRUE(json["checkpoints"][0].contains(name)) << name;
    EXPECT_THAT(all, HasSubstr(name));
  }
  EXPECT_EQ(listing_lines(listing, parse_listing_format(
                                       "{attempt}@{iteration} {state} {metrics.loss} {why}")),
            "1@20 good - -\n1@10 good 0.5 -\n");
}

TEST(LineFormat, AMetricThatNoCheckpointOfTheStoreHasIsAMistake) {
  lockstep::testing::StoreOnDisk disk("format");
  disk.attempt("a");
  disk.checkpoint({1, 10}, 2, true);
  const auto lines = [&](const std::string& format, bool all = false) {
    auto listing = list_store(disk.files(), disk.path(), all);
    const auto parts = parse_listing_format(format);
    require_metrics(disk.files(), listing, parts);
    return listing_lines(listing, parts);
  };
  EXPECT_EQ(lines("{metrics.nope}"), "-\n") << "nothing was evaluated yet";
  disk.checkpoint({1, 20}, 2, true, {{"loss", 0.5}, {"accuracy", 0.75}});
  disk.checkpoint({1, 30}, 2, true, {{"loss", 0.25}});
  disk.attempt("b", CheckpointId{1, 10});
  disk.checkpoint({2, 20}, 2, true);
  EXPECT_EQ(lines("{iteration} {metrics.loss}", true), "20 -\n30 0.25\n20 0.5\n10 -\n");
  EXPECT_EQ(lines("{iteration} {metrics.loss}"), "20 -\n10 -\n") << "abandoned ones have it";
  for (const bool all : {false, true}) {
    EXPECT_EQ(
        error_of(ErrorCode::kInvalidConfig, [&] { lines("{metrics.los}", all); }),
        "--format: no checkpoint has {metrics.los}, did you mean {metrics.loss}?; metrics are "
        "accuracy and loss");
    EXPECT_EQ(
        error_of(ErrorCode::kInvalidConfig, [&] { lines("{metrics.loss} {metrics.x}", all); }),
        "--format: no checkpoint has {metrics.x}; metrics are accuracy and loss");
  }
}

}  // namespace
}  // namespace lockstep::cli
