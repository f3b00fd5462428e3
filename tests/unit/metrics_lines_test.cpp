#include "coordinator/metrics_lines.h"

#include <algorithm>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

using ::testing::EndsWith;

constexpr double kTime = 1769864709.125;

MetricsOrigin origin() {
  return {.run = "night", .attempt = 3, .iteration = 1200, .position = 12000};
}

Interval interval() {
  return {.iteration = 1210,
          .iterations = 10,
          .position = 12100,
          .samples = 100,
          .loss = 0.5,
          .gradient_norm = 2,
          .learning_rate = 0.001,
          .seconds = 4,
          .spent = {.data = 0.5, .compute = 2, .communication = 1, .other = 0.5}};
}

TEST(MetricsLines, TheStartNamesWhatItCarriesOn) {
  auto of = origin();
  EXPECT_EQ(start_line(of, kTime),
            R"({"event":"start","time":"2026-01-31T13:05:09.125Z","run":"night","attempt":3,)"
            R"("branch":1200,"iteration":1200,"position":12000,"parent":null})"
            "\n");
  of.parent = Parent{{2, 1200}, std::nullopt};
  EXPECT_THAT(start_line(of, kTime), EndsWith("\"parent\":\"2@1200\"}\n"));
  of.parent->store = "abc";
  EXPECT_THAT(start_line(of, kTime), EndsWith(R"("parent":"2@1200","parent_store":"abc"})"
                                              "\n"));
}

TEST(MetricsLines, AnIntervalIsOneFlatObjectWithUnitsInItsNames) {
  const auto text = line_of(origin(), kTime, interval(), {1024, 2048});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto line = nlohmann::json::parse(text);
  const auto expected = nlohmann::json::parse(R"({
    "event": "interval", "time": "2026-01-31T13:05:09.125Z", "run": "night", "attempt": 3,
    "branch": 1200, "iteration": 1210, "position": 12100, "iterations": 10, "samples": 100,
    "loss": 0.5, "gradient_norm": 2.0, "learning_rate": 0.001, "samples_per_second": 25.0,
    "seconds": 4.0, "data_seconds": 0.5, "compute_seconds": 2.0, "communication_seconds": 1.0,
    "optimizer_seconds": 0.0, "save_seconds": 0.0, "evaluation_seconds": 0.0, "other_seconds": 0.5,
    "memory_bytes": 1024, "peak_memory_bytes": 2048})");
  EXPECT_EQ(line, expected);
}

TEST(MetricsLines, AnEvaluationHoldsItsMetrics) {
  const Evaluation evaluation{1220, 12200, 0.25, {{"loss", 0.4}, {"accuracy", 0.9}}};
  const auto line = nlohmann::json::parse(line_of(origin(), kTime, evaluation));
  EXPECT_EQ(line["event"], "evaluation");
  EXPECT_EQ(line["iteration"], 1220);
  EXPECT_EQ(line["seconds"], 0.25);
  EXPECT_EQ(line["metrics"], nlohmann::json::parse(R"({"accuracy": 0.9, "loss": 0.4})"));
  const auto none = nlohmann::json::parse(line_of(origin(), kTime, {.iteration = 1220}));
  EXPECT_EQ(none["metrics"], nlohmann::json::object());
}

TEST(MetricsLines, WhatIsNotFiniteOrNotKnownIsNull) {
  auto spoilt = interval();
  spoilt.loss = std::numeric_limits<double>::quiet_NaN();
  spoilt.gradient_norm = -std::numeric_limits<double>::infinity();
  const auto line = nlohmann::json::parse(line_of(origin(), kTime, spoilt, {}));
  for (const char* name : {"loss", "gradient_norm", "memory_bytes", "peak_memory_bytes"})
    EXPECT_TRUE(line.at(name).is_null()) << name;
}

TEST(MetricsLines, ARunWhoseNameIsNoUtf8StillGivesALine) {
  auto of = origin();
  of.run = "a\xff\n\"b";
  EXPECT_EQ(nlohmann::json::parse(start_line(of, kTime))["run"], "a\xef\xbf\xbd\n\"b");
}

TEST(MetricsLines, TimesAreUtcWithMilliseconds) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(utc_text(951782400.0005), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(utc_text(1769864709.9999), "2026-01-31T13:05:09.999Z");
}

TEST(ProcessMemory, IsReadFromTheKernelsTextAndNotFromAnythingElse) {
  const auto good =
      parse_process_memory("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\nThreads: 3\n");
  EXPECT_EQ(good.resident_bytes, 1024);
  EXPECT_EQ(good.peak_bytes, 2048 * 1024);
  for (const char* bad :
       {"", "VmRSS: 1 kB\n", "x\nVmRSS: 1\n", "x\nVmRSS: 1 MB\n", "x\nVmRSS: -1 kB\n",
        "x\nVmRSS:", "x\nVmRSS:   ", "x\nVmRSS: 9223372036854775807 kB\n", "x\nVmRSS: 1x kB\n"}) {
    const auto read = parse_process_memory(bad);
    EXPECT_FALSE(read.resident_bytes) << bad;
    EXPECT_FALSE(read.peak_bytes) << bad;
  }
}

TEST(ProcessMemory, OfThisProcessIsPlausible) {
  const auto now = process_memory();
  ASSERT_TRUE(now.resident_bytes && now.peak_bytes);
  EXPECT_GT(*now.resident_bytes, 100'000);
  EXPECT_GE(*now.peak_bytes, *now.resident_bytes);
}

}  // namespace
}  // namespace lockstep
