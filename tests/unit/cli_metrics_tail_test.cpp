#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cli/metrics_tail.h"
#include "coordinator/metrics_lines.h"
#include "tests/support/temporary_folder.h"

namespace lockstep::cli {
namespace {

using ::testing::ElementsAre;

std::string interval_line(std::int64_t iteration, double loss = 0.5) {
  Interval interval;
  interval.iteration = iteration;
  interval.iterations = 10;
  interval.samples = 1000;
  interval.loss = loss;
  interval.accuracy = 0.9;
  interval.seconds = 2;
  interval.spent.compute = 1.5;
  interval.spent.save = 0.5;
  return line_of(MetricsOrigin{"run", 1}, 0, interval, {});
}

TEST(MetricsLine, IsReadAsItIsWritten) {
  const auto parsed = parse_metrics_line(interval_line(20));
  ASSERT_TRUE(std::holds_alternative<Interval>(parsed));
  const auto& interval = std::get<Interval>(parsed);
  EXPECT_EQ(interval.iteration, 20);
  EXPECT_EQ(interval.iterations, 10);
  EXPECT_EQ(interval.samples, 1000);
  EXPECT_EQ(interval.loss, 0.5);
  EXPECT_EQ(interval.accuracy, 0.9);
  EXPECT_EQ(interval.spent.compute, 1.5);
  EXPECT_EQ(interval.spent.save, 0.5);
  EXPECT_TRUE(
      std::isnan(std::get<Interval>(parse_metrics_line(interval_line(20, std::nan("")))).loss));
  const auto evaluation = parse_metrics_line(
      line_of(MetricsOrigin{"run", 1}, 0, Evaluation{30, 0, 1, {{"loss", 2.0}}}));
  ASSERT_TRUE(std::holds_alternative<Evaluation>(evaluation));
  EXPECT_EQ(std::get<Evaluation>(evaluation).metrics.at("loss"), 2.0);
}

TEST(MetricsLine, ThatIsNoneIsNothing) {
  for (const std::string line :
       {"", "{", "[]", "null", "3", "{}", R"({"event": "interval"})", R"({"event": 3})",
        R"({"event": "start", "iteration": 1})", R"({"event": "interval", "iteration": 1})",
        R"({"event": "interval", "iteration": -1, "iterations": 1})",
        R"({"event": "interval", "iteration": 1.5, "iterations": 1})",
        R"({"event": "interval", "iteration": 18446744073709551615, "iterations": 1})",
        R"({"event": "interval", "iteration": "7", "iterations": 1})",
        R"({"event": "evaluation", "iteration": 1, "metrics": []})",
        R"({"event": "evaluation", "iteration": 1})", R"({"event": "later", "iteration": 1})",
        "{\"event\": \"interval\", \"iteration\": 1, \"iterations\": 1, \"x\": \"\xff\"}"})
    EXPECT_TRUE(std::holds_alternative<std::monostate>(parse_metrics_line(line))) << line;
  EXPECT_TRUE(std::holds_alternative<std::monostate>(
      parse_metrics_line(R"({"event": )" + std::string(100'000, '['))));
}

class Tail : public ::testing::Test {
 protected:
  void write(const std::string& text, std::ios::openmode mode = std::ios::app) {
    std::ofstream(path, mode | std::ios::binary) << text;
  }
  std::vector<std::int64_t> iterations() {
    tail.read(*files);
    std::vector<std::int64_t> all;
    for (const auto& interval : tail.intervals())
      all.push_back(interval.iteration);
    return all;
  }

  lockstep::testing::TemporaryFolder folder;
  std::string path = folder.path() + "/metrics.jsonl";
  std::unique_ptr<FileSystem> files = make_posix_file_system();
  MetricsTail tail{path};
};

TEST_F(Tail, GrowsWithTheFile) {
  EXPECT_THAT(iterations(), ElementsAre()) << "not there yet";
  write(interval_line(10));
  EXPECT_THAT(iterations(), ElementsAre(10));
  EXPECT_THAT(iterations(), ElementsAre(10));
  const auto line = interval_line(20);
  write(line.substr(0, 30));  // a line that is being written
  EXPECT_THAT(iterations(), ElementsAre(10));
  write(line.substr(30) + "garbage\n" + interval_line(30));
  EXPECT_THAT(iterations(), ElementsAre(10, 20, 30));
}

TEST_F(Tail, OfAFileThatBeginsAnewForgetsTheOld) {
  write(interval_line(10) + interval_line(20));
  EXPECT_THAT(iterations(), ElementsAre(10, 20));
  write(interval_line(5), std::ios::trunc);
  EXPECT_THAT(iterations(), ElementsAre(5));
}

TEST_F(Tail, OfALongFileIsItsEnd) {
  std::string text;
  for (std::int64_t i = 1; i <= 4000; ++i)
    text += interval_line(i);
  ASSERT_GT(text.size(), 4 * MetricsTail::kMostBytes);
  write(text);
  const auto read = iterations();
  EXPECT_GT(read.size(), 100U);
  EXPECT_LE(read.size(), MetricsTail::kMostIntervals);
  EXPECT_EQ(read.back(), 4000);
  EXPECT_EQ(read.front(), 4001 - static_cast<std::int64_t>(read.size())) << "none is torn";
  write(text);
  EXPECT_EQ(iterations().back(), 4000) << "grown by more than is read at once";
  write(std::string(2 * MetricsTail::kMostBytes, 'x'));  // a line without an end
  iterations();
  write("\n" + interval_line(5000));
  EXPECT_EQ(iterations().back(), 5000);
}

}  // namespace
}  // namespace lockstep::cli
