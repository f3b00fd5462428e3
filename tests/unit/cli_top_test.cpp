#include <cmath>
#include <filesystem>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/sparkline.h"
#include "coordinator/cli/text_width.h"
#include "coordinator/cli/top_picture.h"
#include "coordinator/cli/top_watch.h"
#include "coordinator/metrics_lines.h"
#include "coordinator/run_length.h"
#include "tests/support/store_on_disk.h"

namespace lockstep::cli {
namespace {

using lockstep::testing::StoreOnDisk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const double kNaN = std::nan("");

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

TEST(Bar, IsFullToItsPart) {
  struct Row {
    double part;
    std::size_t columns;
    const char* ascii;
    const char* unicode;
  };
  const std::vector<Row> rows = {
      {0, 6, "[----]", "░░░░░░"},
      {0.5, 6, "[##--]", "███░░░"},
      {1, 6, "[####]", "██████"},
      {7, 6, "[####]", "██████"},
      {-1, 4, "[--]", "░░░░"},
      {kNaN, 4, "[--]", "░░░░"},
      {0.99, 4, "[#-]", "███░"},
      {1, 1, "", "█"},
      {1, 0, "", ""},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(bar(row.part, row.columns, false), row.ascii) << row.part;
    EXPECT_EQ(bar(row.part, row.columns, true), row.unicode) << row.part;
  }
}

TEST(Sparkline, GoesFromTheLeastToTheGreatest) {
  struct Row {
    std::vector<double> numbers;
    std::size_t columns;
    const char* unicode;
  };
  const double huge = std::numeric_limits<double>::max();
  const std::vector<Row> rows = {
      {{}, 8, ""},
      {{3}, 8, "▁"},
      {{2, 2, 2}, 8, "▁▁▁"},
      {{0, 1, 2, 3, 4, 5, 6, 7}, 8, "▁▂▃▄▅▆▇█"},
      {{7, kNaN, 0}, 8, "█ ▁"},
      {{kNaN, HUGE_VAL, -HUGE_VAL}, 8, "   "},
      {{-huge, huge}, 8, "▁▁"},
      {{0, 2, 10, 12}, 2, "▁█"},
      {{1, 2, 3}, 0, ""},
  };
  for (const auto& row : rows)
    EXPECT_EQ(sparkline(row.numbers, row.columns, true), row.unicode);
  EXPECT_EQ(sparkline(std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7}, 8, false), "_.-~=+*#");
}

TEST(FinalIteration, IsTheFirstOfBothEnds) {
  const auto config_of = [](std::int64_t iterations, std::int64_t epochs, std::int64_t batch) {
    Config config;
    config.run.max_iterations = iterations;
    if (iterations == 0) config.run.max_iterations = {};
    if (epochs > 0) config.run.max_epochs = epochs;
    config.data.global_batch = batch;
    return canonical_json(config);
  };
  const std::optional<DataPlace> start = DataPlace{0, 0, 60000};
  EXPECT_EQ(final_iteration(config_of(2000, 0, 100), {}), 2000);
  EXPECT_EQ(final_iteration(config_of(2000, 3, 100), {}), std::nullopt) << "whichever comes first";
  EXPECT_EQ(final_iteration(config_of(2000, 3, 100), start), 1800);
  EXPECT_EQ(final_iteration(config_of(1000, 3, 100), start), 1000);
  EXPECT_EQ(final_iteration(config_of(2000, 1, 7), start), 8572 > 2000 ? 2000 : 8572);
  EXPECT_EQ(final_iteration(config_of(9000, 1, 7), start), 8572) << "the last batch is begun";
  EXPECT_EQ(final_iteration(config_of(9000, 1, 100), DataPlace{10, 59950, 60000}), 11);
  EXPECT_EQ(final_iteration(config_of(9000, 1, 100), DataPlace{10, 70000, 60000}), 10);
  EXPECT_EQ(final_iteration(config_of(9000, INT64_MAX, 100), start), std::nullopt);
  EXPECT_EQ(final_iteration("{}", start), std::nullopt);
}

TEST(StillSeconds, SilenceIsToldWhereItIsFiveTimesAsLongAsUsualAndLongerThanCachesHoldBack) {
  struct Case {
    std::int64_t training_s;  // from the claim to the last line
    double intervals;
    std::int64_t silent_s;
    bool told;
  };
  const Case cases[] = {
      {100, 50, 89, false},   {100, 50, 90, true},    // one each 2 s
      {100, 0.9, 900, false},                         // the first is still to come
      {3600, 60, 299, false}, {3600, 60, 300, true},  // one a minute
      {100, 50, 0, false},    {100, 50, -60, false},  // its heartbeat is late
      {-5, 50, 90, true},                             // a claim that was copied afterwards
  };
  for (const auto& [training_s, intervals, silent_s, told] : cases) {
    const WrittenAt at{1000, 1000 + training_s, 1000 + training_s + silent_s};
    EXPECT_EQ(still_seconds(at, intervals), told ? std::optional<double>(silent_s) : std::nullopt)
        << training_s << " " << intervals << " " << silent_s;
  }
}

TopFacts example() {
  TopFacts facts;
  facts.now_s = 1'000'000;
  facts.store = "/scratch/run1";
  facts.state = "running";
  facts.alive = true;
  facts.attempt = "2 of run demo, 4 ranks, on n7 (process 4711)";
  facts.started = "from 1@882";
  facts.started_s = 999'000;
  facts.iteration = 1000;
  facts.final_iteration = 2000;
  facts.iterations_per_second = 2.5;
  facts.samples_per_second = 640;
  facts.losses = {4, 3, 2, 1};
  facts.accuracies = {0.1, 0.5};
  facts.evaluation = EvaluationPoint{900, {{"accuracy", 0.5}, {"loss", 1.25}}};
  facts.spent.compute = 9;
  facts.spent.communication = 1;
  facts.newest = {{2, 900}, 2048, 999'960};
  facts.next_save = NextSave{1200, 10.0};
  facts.deadline_s = 1'003'600;
  facts.free_bytes = std::uint64_t{5} << 30;
  facts.abandoned = 3;
  facts.abandoned_bytes = 1024;
  facts.events = {{999'960, 2, TopEvent::kCommit, "2@900 committed, 2.0 KiB"},
                  {999'000, 2, TopEvent::kBegin, "attempt 2 begins"}};
  return facts;
}

TEST(TopPicture, SaysThatNoIterationComes) {
  auto facts = example();
  facts.still_s = 14;
  EXPECT_THAT(draw_top(facts, {}), HasSubstr("2.5 iterations/s"));
  facts.still_s = 70;
  EXPECT_THAT(draw_top(facts, {}), HasSubstr("rate         no new iteration for 70 s\n"));
  facts.iterations_per_second = 0.02;  // 50 s each
  EXPECT_THAT(draw_top(facts, {}), HasSubstr("0.02 iterations/s"));
  facts.still_s = 200;
  facts.alive = false;
  EXPECT_THAT(draw_top(facts, {}), Not(HasSubstr("no new iteration")));
}

TEST(TopPicture, ShowsHowTheJobGoes) {
  EXPECT_EQ(draw_top(example(), {}),
            "lockstep top  /scratch/run1\n"
            "\n"
            "state        running\n"
            "attempt      2 of run demo, 4 ranks, on n7 (process 4711)\n"
            "started      from 1@882, 16 min ago\n"
            "iteration    1000 of 2000  50 %  [###################-------------------]\n"
            "rate         2.5 iterations/s, 640 samples/s; 6 min left\n"
            "loss         1         #+-_\n"
            "accuracy     0.5       _#\n"
            "evaluated    accuracy 0.5, loss 1.25 at 900\n"
            "time         compute 90 %, communication 10 %\n"
            "committed    2@900, 40 s ago, 2.0 KiB\n"
            "next save    iteration 1200, in 80 s, or 10 min after the last\n"
            "deadline     in 60 min\n"
            "free space   5.0 GiB\n"
            "abandoned    3 checkpoints, 1.0 KiB\n"
            "\n"
            "40 s ago     2@900 committed, 2.0 KiB\n"
            "16 min ago   attempt 2 begins\n");
}

TEST(TopPicture, OfAnEndedJobPromisesNothing) {
  auto facts = example();
  facts.alive = false;
  facts.state = "finished, exit code 0";
  const auto picture = draw_top(facts, {});
  for (const auto* word : {"left", "next save", "deadline"})
    EXPECT_THAT(picture, Not(HasSubstr(word)));
}

TEST(TopPicture, OfAStoreThatIsNewIsShort) {
  TopFacts facts;
  facts.store = "/s\x1b[2J";
  facts.state = "no attempt yet";
  facts.trouble = "list /s: Input/output error";
  EXPECT_EQ(draw_top(facts, {}),
            "lockstep top  /s\\x1b[2J\n\n"
            "trouble      list /s: Input/output error\n"
            "state        no attempt yet\n"
            "committed    none yet\n"
            "free space   ?\n");
}

TEST(TopPicture, KeepsToTheScreen) {
  for (const bool unicode : {false, true})
    for (std::size_t columns = 12; columns < 100; columns += 3)
      for (std::size_t rows = 1; rows < 30; rows += 2) {
        const auto picture =
            draw_top(example(), {.unicode = unicode, .columns = columns, .rows = rows});
        std::size_t begin = 0;
        std::size_t lines = 0;
        for (std::size_t end = 0; (end = picture.find('\n', begin)) != std::string::npos;
             begin = end + 1, ++lines)
          EXPECT_LE(width_of(picture.substr(begin, end - begin)), columns) << picture;
        EXPECT_LE(lines, rows) << picture;
        EXPECT_EQ(begin, picture.size());
      }
}

TEST(TopWatch, SeesCommitsAndTheEnd) {
  StoreOnDisk disk("top");
  disk.attempt("first");
  disk.checkpoint({1, 10});
  disk.checkpoint({1, 20});  // abandoned
  disk.attempt("second", CheckpointId{1, 10}, std::nullopt);
  disk.files().overwrite(attempt_path(disk.path(), 2) + "/metrics.jsonl", interval_line(20));
  double now_s = 100;
  TopWatch watch(disk.files(), disk.path(), true, {[&] { return now_s; }, {}});
  auto facts = watch.look();
  EXPECT_TRUE(facts.alive);
  EXPECT_EQ(facts.state, "running");
  EXPECT_THAT(facts.attempt, StartsWith("2 of run second, 2 ranks, on elsewhere"));
  EXPECT_EQ(facts.started, "from 1@10");
  EXPECT_EQ(facts.iteration, 20);
  EXPECT_EQ(facts.iterations_per_second, 5);
  EXPECT_EQ(facts.samples_per_second, 500);
  ASSERT_TRUE(facts.newest);
  EXPECT_EQ(facts.newest->id, (CheckpointId{1, 10}));
  EXPECT_EQ(facts.newest->created_s, parse_utc("2026-01-02T03:04:05Z"));
  EXPECT_EQ(facts.abandoned, 1U);
  EXPECT_TRUE(facts.abandoned_known);
  EXPECT_GT(facts.abandoned_bytes, 0U);
  disk.checkpoint({2, 30});
  write_outcome(disk.files(), disk.path(), 2, {OutcomeKind::kStopped, 77, 30, {}, {}});
  EXPECT_TRUE(watch.look().alive) << "a period has not gone by";
  now_s += 1;
  facts = watch.look();
  EXPECT_FALSE(watch.alive());
  EXPECT_EQ(facts.state, "stopped, exit code 77");
  EXPECT_EQ(facts.newest->id, (CheckpointId{2, 30}));
  EXPECT_THAT(facts.events.front().text, HasSubstr("attempt 2 ends: stopped, exit code 77"));
  const auto said = draw_top(facts, {});
  EXPECT_THAT(said, HasSubstr("2@30 committed"));
}

TEST(TopWatch, FollowsTheMetricsOfTheNewestAttempt) {
  StoreOnDisk disk("top-metrics");
  disk.attempt("run", {}, std::nullopt);
  const auto file = attempt_path(disk.path(), 1) + "/metrics.jsonl";
  TopWatch watch(disk.files(), disk.path(), true, {[] { return 100.0; }, {}});
  EXPECT_FALSE(watch.look().iterations_per_second) << "nothing is written yet";
  auto text = interval_line(10, 4) + interval_line(20, kNaN) +
              line_of(MetricsOrigin{"run", 1}, 0, Evaluation{20, 0, 1, {{"loss", 2.0}}});
  disk.files().overwrite(file, text + interval_line(30).substr(0, 40));
  auto facts = watch.look();
  ASSERT_EQ(facts.losses.size(), 2U);
  EXPECT_EQ(facts.losses[0], 4);
  EXPECT_TRUE(std::isnan(facts.losses[1]));
  EXPECT_EQ(facts.accuracies.size(), 2U);
  EXPECT_EQ(facts.evaluation->iteration, 20);
  EXPECT_EQ(facts.spent.compute, 3);
  EXPECT_EQ(facts.spent.save, 1);
  EXPECT_EQ(facts.spent.data, 0);
  constexpr int kLines = 5000;
  for (int i = 3; i <= kLines; ++i)
    text += interval_line(10 * i, i);
  disk.files().overwrite(file, text);
  facts = watch.look();
  EXPECT_EQ(facts.iteration, 10 * kLines);
  EXPECT_EQ(facts.losses.front(), 4) << "the whole curve";
  EXPECT_EQ(facts.losses.back(), kLines) << "thinned, but up to now";
  EXPECT_LE(facts.losses.size(), 2 * CurveMaker::kMostPoints);
  EXPECT_EQ(facts.spent.compute, 1.5 * CurveMaker::kMostRecent) << "what goes on now";
  EXPECT_EQ(facts.iterations_per_second, 5);
  EXPECT_EQ(facts.samples_per_second, 500);
  std::filesystem::resize_file(file, 0);
  disk.files().overwrite(file, interval_line(70, 7));
  watch.look();
  EXPECT_THAT(watch.look().losses, ElementsAre(7)) << "another file in its place";
}

TEST(TopWatch, JudgesAJobOfAnotherHostByItsHeartbeat) {
  StoreOnDisk disk("top-life");
  disk.attempt("run", {}, std::nullopt);
  const auto beat = [&](std::int64_t counter) {
    disk.files().overwrite(attempt_path(disk.path(), 1) + "/heartbeat",
                           encode(Heartbeat{counter, 7, std::nullopt}));
  };
  beat(1);
  double now_s = 100;
  TopWatch watch(disk.files(), disk.path(), {}, {[&] { return now_s; }, {}});
  EXPECT_THAT(watch.look().state, HasSubstr("heartbeat is watched"));
  EXPECT_FALSE(watch.alive());
  beat(2);
  now_s += 1;
  EXPECT_EQ(watch.look().state, "running");
  EXPECT_TRUE(watch.alive());
  for (int i = 0; i < 2; ++i) {
    now_s += 1;
    EXPECT_TRUE(watch.look().alive);
  }
  now_s += 1;
  EXPECT_FALSE(watch.look().alive);
  EXPECT_FALSE(watch.alive());
  EXPECT_THAT(watch.look().state, HasSubstr("its heartbeat stands still"));
}

}  // namespace
}  // namespace lockstep::cli
