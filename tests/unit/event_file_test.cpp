// What is written is read back by other code than wrote it: the checksum bit by bit, the messages
// by protozero's reader. TensorBoard itself reads in e2e/metrics_test.py.

#include "coordinator/event_file.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <protozero/pbf_reader.hpp>

namespace lockstep {
namespace {

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

std::uint32_t unmasked(std::uint32_t masked) {
  const std::uint32_t turned = masked - 0xa282ead8U;
  return turned >> 17U | turned << 15U;
}

template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
  T number{};
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

// The events of whole records, whose checksums must be right.
std::vector<std::string> events_of(std::string_view file) {
  std::vector<std::string> events;
  while (!file.empty()) {
    const auto length = number_at<std::uint64_t>(file, 0);
    EXPECT_EQ(unmasked(number_at<std::uint32_t>(file, 8)), crc32c(file.substr(0, 8)));
    const auto event = file.substr(12, length);
    EXPECT_EQ(unmasked(number_at<std::uint32_t>(file, 12 + length)), crc32c(event));
    events.emplace_back(event);
    file.remove_prefix(16 + length);
  }
  return events;
}

struct Event {
  double time_s = 0;
  std::int64_t step = 0;
  std::string version;
  int status = 0;
  std::map<std::string, float> scalars;
};

void read_scalar(protozero::pbf_reader value, Event& into) {
  std::string tag;
  while (value.next()) {
    if (value.tag() == 1) {
      tag = value.get_string();
    } else if (value.tag() == 2) {
      into.scalars[tag] = value.get_float();
    } else {
      value.skip();
    }
  }
}

Event parsed(const std::string& bytes) {
  Event event;
  protozero::pbf_reader reader(bytes);
  while (reader.next()) {
    switch (reader.tag()) {
      case 1:
        event.time_s = reader.get_double();
        break;
      case 2:
        event.step = reader.get_int64();
        break;
      case 3:
        event.version = reader.get_string();
        break;
      case 5:
        for (auto summary = reader.get_message(); summary.next(1);)
          read_scalar(summary.get_message(), event);
        break;
      case 7:
        for (auto session = reader.get_message(); session.next(1);)
          event.status = session.get_enum();
        break;
      default:
        ADD_FAILURE() << "field " << reader.tag();
        reader.skip();
    }
  }
  return event;
}

Event only(std::string_view file) {
  const auto events = events_of(file);
  EXPECT_EQ(events.size(), 1U);
  return parsed(events.at(0));
}

TEST(EventFile, ItsChecksumIsCrc32c) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U) << "the published check value";
  std::string all;
  for (int i = 0; i < 1000; ++i)
    all += static_cast<char>(i * 7);
  for (const std::string& bytes : {std::string(), std::string("a"), std::string("123456789"), all})
    EXPECT_EQ(unmasked(masked_crc32c(bytes)), crc32c(bytes)) << bytes.size();
}

TEST(EventFile, BeginsWithItsVersionAndTheStepFromWhichTheRestIsForgotten) {
  const auto events = events_of(event_file_start(12.5, 401));
  ASSERT_EQ(events.size(), 2U);
  const auto version = parsed(events[0]);
  EXPECT_EQ(version.version, "brain.Event:2");
  EXPECT_EQ(version.time_s, 12.5);
  const auto start = parsed(events[1]);
  EXPECT_EQ(start.status, 1);
  EXPECT_EQ(start.step, 401);
}

TEST(EventFile, ScalarsOfAnIntervalAreAtItsLastIteration) {
  const Interval interval{.iteration = 410,
                          .iterations = 10,
                          .samples = 100,
                          .loss = 0.5,
                          .accuracy = 0.75,
                          .gradient_norm = 2,
                          .learning_rate = 0.25,
                          .seconds = 4,
                          .spent = {.compute = 3, .save = 0.5, .other = 0.5}};
  const auto event = only(event_of(99.5, interval, {1024, 2048}));
  EXPECT_EQ(event.step, 410);
  EXPECT_EQ(event.time_s, 99.5);
  const std::map<std::string, float> expected = {{"train/loss", 0.5F},
                                                 {"train/accuracy", 0.75F},
                                                 {"train/gradient_norm", 2.0F},
                                                 {"train/learning_rate", 0.25F},
                                                 {"speed/samples_per_second", 25.0F},
                                                 {"time/data", 0.0F},
                                                 {"time/compute", 0.3F},
                                                 {"time/communication", 0.0F},
                                                 {"time/optimizer", 0.0F},
                                                 {"time/save", 0.05F},
                                                 {"time/evaluation", 0.0F},
                                                 {"time/other", 0.05F},
                                                 {"memory/resident_bytes", 1024.0F},
                                                 {"memory/peak_bytes", 2048.0F}};
  EXPECT_EQ(event.scalars, expected);
}

TEST(EventFile, WhatIsNotKnownIsLeftOutAndWhatIsNotFiniteStays) {
  const auto event = only(event_of(
      1,
      Interval{.iteration = 1, .iterations = 1, .loss = std::numeric_limits<double>::quiet_NaN()},
      {}));
  EXPECT_EQ(event.scalars.count("train/accuracy"), 0U);
  EXPECT_EQ(event.scalars.count("memory/peak_bytes"), 0U);
  EXPECT_TRUE(std::isnan(event.scalars.at("train/loss")));
}

TEST(EventFile, AnEvaluationsMetricsAreNamedAfterIt) {
  const auto event = only(event_of(1, Evaluation{500, 0, 1, {{"loss", 0.5}, {"accuracy", 0.25}}}));
  EXPECT_EQ(event.step, 500);
  const std::map<std::string, float> expected = {{"evaluation/accuracy", 0.25F},
                                                 {"evaluation/loss", 0.5F}};
  EXPECT_EQ(event.scalars, expected);
}

TEST(EventFile, NamesSortByTheirAttempt) {
  EXPECT_EQ(event_file_name(7, 1769864709, "n4"), "0007.events.out.tfevents.1769864709.n4");
  EXPECT_LT(event_file_name(7, 1769864709, "n4"), event_file_name(8, 1769864708, "n1"))
      << "whatever the clocks of two hosts say";
  EXPECT_EQ(attempt_of_event_file(event_file_name(12345, 1, "a.b")), 12345);
  for (const char* foreign : {"", "events.out.tfevents.1769864709.n4", ".events.out.tfevents.1.a",
                              "7.events.out.tfevents.1.a", "0007.events", "0007"})
    EXPECT_FALSE(attempt_of_event_file(foreign)) << foreign;
}

}  // namespace
}  // namespace lockstep
