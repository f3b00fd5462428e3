#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "coordinator/liveness.h"
#include "coordinator/metrics_lines.h"
#include "coordinator/status/curves.h"
#include "coordinator/status/line_reader.h"
#include "coordinator/status/status_json.h"
#include "coordinator/status/store_json.h"
#include "coordinator/status/store_observer.h"
#include "tests/support/store_on_disk.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StoreOnDisk;
using testing::TemporaryFolder;
using Json = nlohmann::json;

void append(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::app | std::ios::binary) << text;
}

class LineReaderTest : public ::testing::Test {
 protected:
  std::vector<std::string> look() {
    std::vector<std::string> lines;
    whole_ = reader_.look(*files_, [&](std::string_view line) { lines.emplace_back(line); });
    return lines;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "lines";
  std::unique_ptr<FileSystem> files_ = make_posix_file_system();
  LineReader reader_{path_};
  bool whole_ = true;
};

TEST_F(LineReaderTest, GivesEachLineOnceItIsWhole) {
  EXPECT_THAT(look(), IsEmpty()) << "not there yet";
  append(path_, "one\ntw");
  EXPECT_THAT(look(), ElementsAre("one"));
  EXPECT_THAT(look(), IsEmpty());
  append(path_, "o\n\nthree\n");
  EXPECT_THAT(look(), ElementsAre("two", "", "three"));
  EXPECT_TRUE(whole_);
}

TEST_F(LineReaderTest, PassesOverALineThatIsTooLong) {
  append(path_, "one\n" + std::string(LineReader::kMostOfALineBytes + 1, 'x'));
  EXPECT_THAT(look(), ElementsAre("one"));
  append(path_, std::string(100, 'x') + "\ntwo\n");
  EXPECT_THAT(look(), ElementsAre("two"));
}

TEST_F(LineReaderTest, ReadsALargeFileInPieces) {
  const std::string line(1000, 'x');
  std::string text;
  while (text.size() <= LineReader::kMostBytesALook)
    text += line + "\n";
  append(path_, text);
  auto count = look().size();
  EXPECT_TRUE(reader_.has_more());
  count += look().size();
  EXPECT_FALSE(reader_.has_more());
  EXPECT_EQ(count, text.size() / (line.size() + 1));
}

TEST_F(LineReaderTest, BeginsAnewWhereTheFileWasCutOff) {
  append(path_, "one\ntwo\n");
  look();
  std::filesystem::resize_file(path_, 0);
  append(path_, "new\n");
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_FALSE(whole_);
  EXPECT_THAT(look(), ElementsAre("new"));
  EXPECT_TRUE(whole_);
}

Interval interval_at(std::int64_t iteration, double loss) {
  Interval interval;
  interval.iteration = iteration;
  interval.iterations = 10;
  interval.position = iteration * 256;
  interval.samples = 2560;
  interval.loss = loss;
  interval.seconds = 2;
  interval.spent.compute = 1.5;
  interval.spent.other = 0.5;
  return interval;
}

const MetricsOrigin kOrigin{"demo", 2, 100, 25600, Parent{{1, 100}, std::nullopt}};

TEST(CurveMakerTest, ReadsWhatMetricsLinesWrite) {
  CurveMaker maker;
  maker.add(start_line(kOrigin, 0));
  maker.add(line_of(kOrigin, 0, interval_at(110, 0.5), {}));
  maker.add(line_of(kOrigin, 0, interval_at(120, std::nan("")), {}));
  maker.add(line_of(kOrigin, 0, Evaluation{120, 30720, 1, {{"accuracy", 0.9}}}));
  const auto& curve = maker.curve();
  EXPECT_EQ(curve.branch, 100);
  EXPECT_EQ(curve.parent, "1@100");
  ASSERT_EQ(curve.points.size(), 2U);
  EXPECT_EQ(curve.points[0].iteration, 110);
  EXPECT_EQ(curve.points[0].loss, 0.5);
  EXPECT_EQ(curve.points[0].samples_per_second, 1280);
  EXPECT_EQ(curve.points[0].spent_s.at("compute"), 1.5);
  EXPECT_EQ(curve.points[1].loss, std::nullopt);
  ASSERT_EQ(curve.evaluations.size(), 1U);
  EXPECT_EQ(curve.evaluations[0].metrics.at("accuracy"), 0.9);
}

TEST(CurveMakerTest, PassesOverWhatIsNoLine) {
  CurveMaker maker;
  for (const auto* line :
       {"", "{", "[]", "null", "{\"event\": 3}", "{\"event\": \"interval\"}",
        "{\"event\": \"interval\", \"iteration\": -1}",
        "{\"event\": \"interval\", \"iteration\": 1.5}",
        "{\"event\": \"interval\", \"iteration\": 99999999999999999999}",
        "{\"event\": \"other\", \"iteration\": 5}", "\xff\xfe", "{\"event\": \"evaluation\"}"})
    maker.add(line);
  EXPECT_THAT(maker.curve().points, IsEmpty());
  maker.add(R"({"event": "interval", "iteration": 6, "seconds": 1e999})");
  EXPECT_THAT(maker.curve().points, IsEmpty()) << "no number";
  maker.add(R"({"event": "interval", "iteration": 5, "loss": "x", "seconds": -1})");
  ASSERT_EQ(maker.curve().points.size(), 1U) << "what it says of itself is there";
  EXPECT_EQ(maker.curve().points[0].loss, std::nullopt);
  maker.add(R"({"event": "interval", "iteration": 5, "loss": 1})");
  maker.add(R"({"event": "interval", "iteration": 4, "loss": 1})");
  EXPECT_EQ(maker.curve().points.size(), 1U) << "iterations ascend";
}

TEST(CurveMakerTest, IsThinnedEvenlyAndKeepsTheLast) {
  CurveMaker maker;
  constexpr std::int64_t kLines = 10 * CurveMaker::kMostPoints + 7;
  for (std::int64_t i = 1; i <= kLines; ++i)
    maker.add(line_of(kOrigin, 0, interval_at(i, 1), {}));
  const auto& points = maker.curve().points;
  EXPECT_LT(points.size(), 2 * CurveMaker::kMostPoints);
  EXPECT_GE(points.size(), CurveMaker::kMostPoints / 2);
  EXPECT_EQ(points.front().iteration, 1);
  for (std::size_t i = 2; i < points.size(); ++i)
    EXPECT_EQ(points[i].iteration - points[i - 1].iteration,
              points[1].iteration - points[0].iteration);
  EXPECT_EQ(maker.curve().last->iteration, kLines);
}

TEST(CurveMakerTest, KeepsEveryOneOfTheLast) {
  CurveMaker maker;
  maker.add(line_of(kOrigin, 0, interval_at(1, 1), {}));
  EXPECT_EQ(maker.recent().size(), 1U);
  for (std::int64_t i = 2; i <= 3000; ++i)
    maker.add(line_of(kOrigin, 0, interval_at(i, 1), {}));
  ASSERT_EQ(maker.recent().size(), CurveMaker::kMostRecent);
  for (std::size_t i = 0; i < CurveMaker::kMostRecent; ++i)
    EXPECT_EQ(maker.recent()[i].iteration, static_cast<std::int64_t>(2981 + i));
}

TEST(CurveMakerTest, KeepsTheLastEvaluationOfHoweverMany) {
  CurveMaker maker;
  constexpr int kEvaluations = 5 * CurveMaker::kMostPoints;
  for (int i = 1; i <= kEvaluations; ++i)
    maker.add(line_of(kOrigin, 0, Evaluation{i, i, 1, {{"accuracy", 0.5}}}));
  EXPECT_LT(maker.curve().evaluations.size(), 2 * CurveMaker::kMostPoints);
  EXPECT_EQ(maker.curve().last_evaluation->iteration, kEvaluations);
}

TEST(CurvesJson, IsBoundedHoweverManyAttemptsThereAre) {
  CurveMaker maker;
  for (int i = 1; i < 2 * static_cast<int>(CurveMaker::kMostPoints); ++i) {
    maker.add(line_of(kOrigin, 0, interval_at(i, 1.0 / 3), {}));
    maker.add(line_of(kOrigin, 0, Evaluation{i, i, 1, {{"accuracy", 1.0 / 3}}}));
  }
  StorePicture picture;
  for (int attempt = 1; attempt <= 64; ++attempt)
    picture.curves.push_back(
        {attempt, std::nullopt, true, std::nullopt, std::make_shared<Curve>(maker.curve())});
  EXPECT_LT(curves_json(picture).size(), std::size_t{3} << 20);
}

class StoreObserverTest : public ::testing::Test {
 protected:
  // 1: 100, 200, 300 of which 2 left at 200; 2 is the newest.
  void make_fork() {
    store_.attempt("demo", {}, OutcomeKind::kPreempted);
    for (const auto iteration : {100, 200, 300})
      store_.checkpoint({1, iteration});
    store_.attempt("demo", CheckpointId{1, 200});
    store_.checkpoint({2, 300}, 2, true, {{"accuracy", 0.9}});
  }
  std::string attempt_file(std::int64_t attempt, const std::string& name) const {
    return attempt_path(store_.path(), attempt) + "/" + name;
  }

  StoreOnDisk store_{"status"};
  StoreObserver observer_{store_.files(), store_.path()};
};

TEST_F(StoreObserverTest, SeesLineagesStandingsAndBranches) {
  make_fork();
  const auto picture = observer_.look(0);
  EXPECT_EQ(picture->unread, "");
  EXPECT_EQ(picture->newest->number, 2);
  std::vector<std::string> rows;
  for (const auto& row : picture->checkpoints)
    rows.push_back(to_text(row.id) + " " + to_text(row.standing));
  EXPECT_THAT(rows, ElementsAre("2@300 good", "1@300 abandoned", "1@200 good", "1@100 good"));
  EXPECT_EQ(picture->newest_checkpoint->id, (CheckpointId{2, 300}));
  EXPECT_EQ(picture->checkpoints[0].metrics.at("accuracy"), 0.9);
  const auto abandoned = abandoned_of(*picture);
  EXPECT_EQ(abandoned.checkpoints, 1U);
  EXPECT_EQ(abandoned.bytes, picture->checkpoints[1].bytes);
  EXPECT_EQ(picture->attempts[0].state, "preempted");
  EXPECT_TRUE(picture->attempts[0].in_lineage);
}

TEST_F(StoreObserverTest, CountsARevisionWhenSomethingChanged) {
  make_fork();
  const auto first = observer_.look(0);
  const auto second = observer_.look(1);
  EXPECT_EQ(second->lineage_revision, first->lineage_revision);
  EXPECT_EQ(second->curves_revision, first->curves_revision);
  store_.checkpoint({2, 400});
  const auto third = observer_.look(2);
  EXPECT_GT(third->lineage_revision, second->lineage_revision);
  EXPECT_EQ(third->checkpoints.size(), 5U);
  append(attempt_file(2, "metrics.jsonl"), start_line(kOrigin, 0));
  append(attempt_file(2, "metrics.jsonl"), line_of(kOrigin, 0, interval_at(210, 0.5), {}));
  EXPECT_EQ(observer_.look(3)->curves.size(), 0U) << "it has ended, and was read to its end";
}

TEST_F(StoreObserverTest, CountsARevisionWhenAFreshStartIsDecided) {
  auto claim = StoreOnDisk::claim_of("demo");
  claim.store_id = make_store(store_.files(), store_.path());
  claim_attempt(store_.files(), store_.path(), 1, claim);
  const auto claimed = observer_.look(0);
  EXPECT_EQ(claimed->attempts[0].origin, "?");
  DecisionRecord record;
  record.kind = DecisionKind::kFresh;
  record.attempt = 1;
  record.run = "demo";
  write_decision(store_.files(), store_.path(), 1, record);
  const auto decided = observer_.look(1);
  EXPECT_EQ(decided->attempts[0].origin, "-");
  EXPECT_GT(decided->lineage_revision, claimed->lineage_revision);
}

TEST_F(StoreObserverTest, FollowsTheCurvesOfAnAttemptThatIsAtWork) {
  store_.attempt("demo", {}, std::nullopt);
  const auto metrics = attempt_file(1, "metrics.jsonl");
  append(metrics,
         start_line({"demo", 1, 0, 0, {}}, 0) + line_of(kOrigin, 0, interval_at(10, 0.5), {}));
  const auto first = observer_.look(0);
  ASSERT_EQ(first->curves.size(), 1U);
  EXPECT_EQ(first->curves[0].curve->points.size(), 1U);
  append(metrics, line_of(kOrigin, 0, interval_at(20, 0.4), {}));
  const auto second = observer_.look(1);
  EXPECT_EQ(second->curves[0].curve->points.size(), 2U);
  EXPECT_EQ(first->curves[0].curve->points.size(), 1U) << "a picture never changes";
  EXPECT_GT(second->curves_revision, first->curves_revision);
}

TEST_F(StoreObserverTest, TellsLifeFromHeartbeatsAPeriodApart) {
  store_.attempt("demo", {}, std::nullopt);
  const auto beat = attempt_file(1, "heartbeat");
  const auto look_at = [&](double now_s, std::int64_t counter) {
    store_.files().overwrite(beat, encode(Heartbeat{counter, 7, std::nullopt}));
    return observer_.look(now_s)->life;
  };
  EXPECT_EQ(look_at(0, 1), Life::kUnsure);
  EXPECT_EQ(look_at(0.5, 2), Life::kUnsure) << "less than a period is not looked at";
  EXPECT_EQ(look_at(1, 2), Life::kAlive);
  EXPECT_EQ(look_at(2, 2), Life::kAlive);
  EXPECT_EQ(look_at(3, 2), Life::kAlive);
  EXPECT_EQ(look_at(4, 2), Life::kDead);
  EXPECT_EQ(observer_.look(5)->attempts[0].state, "crashed");
}

TEST_F(StoreObserverTest, SaysWhatACrashCost) {
  store_.attempt("demo", {}, std::nullopt);
  store_.checkpoint({1, 100});
  store_.files().overwrite(attempt_file(1, "heartbeat"), encode(Heartbeat{9, 134, 100}));
  store_.attempt("demo", CheckpointId{1, 100}, std::nullopt);
  EXPECT_EQ(observer_.look(0)->lost_iterations, 34);
  append(attempt_file(1, "metrics.jsonl"),
         start_line({"demo", 1, 0, 0, {}}, 0) + line_of(kOrigin, 0, interval_at(140, 0.5), {}));
  StoreObserver later(store_.files(), store_.path());
  EXPECT_EQ(later.look(0)->lost_iterations, 40) << "it had come further than its last heartbeat";
  store_.attempt("another", CheckpointId{1, 100}, std::nullopt);
  EXPECT_EQ(observer_.look(1)->lost_iterations, std::nullopt) << "somebody else went back";
}

TEST_F(StoreObserverTest, WhoGoesBackOnPurposeHasLostNothing) {
  store_.attempt("demo", {}, OutcomeKind::kStopped);
  for (const auto iteration : {100, 200})
    store_.checkpoint({1, iteration});
  store_.files().overwrite(attempt_file(1, "heartbeat"), encode(Heartbeat{9, 200, 200}));
  store_.attempt("demo", CheckpointId{1, 100}, std::nullopt);
  EXPECT_EQ(observer_.look(0)->lost_iterations, std::nullopt);
}

TEST_F(StoreObserverTest, AStoreThatIsGoneIsSaidAndItsPictureStays) {
  make_fork();
  observer_.look(0);
  std::filesystem::rename(store_.path(), store_.path() + ".away");
  const auto gone = observer_.look(1);
  EXPECT_NE(gone->unread, "");
  EXPECT_EQ(gone->checkpoints.size(), 4U);
  std::filesystem::rename(store_.path() + ".away", store_.path());
}

TEST_F(StoreObserverTest, AProcessThatIsSeenIsAliveUntilItsHeartbeatStandsStill) {
  store_.attempt("demo", {}, std::nullopt, this_process());
  store_.files().overwrite(attempt_file(1, "heartbeat"), encode(Heartbeat{1, 7, std::nullopt}));
  EXPECT_EQ(observer_.look(0)->life, Life::kAlive);
  EXPECT_EQ(observer_.look(0.5)->attempts[0].state, "running");
  for (const double now_s : {1.0, 2.0})
    EXPECT_EQ(observer_.look(now_s)->life, Life::kAlive);
  EXPECT_EQ(observer_.look(3)->life, Life::kDead);
}

TEST_F(StoreObserverTest, KeepsTheLastPictureWhereTheStoreCannotBeRead) {
  make_fork();
  const auto good = observer_.look(0);
  std::filesystem::rename(store_.path() + "/store.json", store_.path() + "/away");
  const auto bad = observer_.look(1);
  EXPECT_NE(bad->unread, "");
  EXPECT_EQ(bad->checkpoints.size(), good->checkpoints.size());
  std::filesystem::rename(store_.path() + "/away", store_.path() + "/store.json");
  EXPECT_EQ(observer_.look(2)->unread, "");
}

TEST_F(StoreObserverTest, DamageThatIsSeenIsShownAndLookedAtAgain) {
  make_fork();
  const auto shard = store_.shard_path({2, 300}, 1);
  std::filesystem::rename(shard, shard + ".away");
  EXPECT_EQ(observer_.look(0)->checkpoints[0].standing, Standing::kDamaged);
  std::filesystem::rename(shard + ".away", shard);
  EXPECT_EQ(observer_.look(1)->checkpoints[0].standing, Standing::kGood);
}

Json status_of(const StatusPicture& picture) {
  return Json::parse(status_json(picture));
}

TEST_F(StoreObserverTest, AnEmptyStoreHasAStatusToo) {
  make_store(store_.files(), store_.path());
  const auto status = status_of({observer_.look(0), std::nullopt, 0, 0});
  EXPECT_EQ(status["state"], "none");
  EXPECT_EQ(status["alive"], false);
  EXPECT_TRUE(status["iteration"].is_null());
  EXPECT_TRUE(status["ranks"].is_null());
  EXPECT_EQ(status["source"], "files");
  EXPECT_EQ(decision_json(*observer_.look(1)), "null");
}

TEST_F(StoreObserverTest, TheStatusOfAnEndedRunComesFromItsFiles) {
  make_fork();
  append(attempt_file(2, "metrics.jsonl"),
         start_line(kOrigin, 0) + line_of(kOrigin, 0, interval_at(300, 0.25), {}));
  store_.files().overwrite(attempt_file(2, "heartbeat"), encode(Heartbeat{9, 300, 300}));
  const double wall_s = 1767323045 + 60;  // a minute after the manifests say they were made
  const auto status = status_of({observer_.look(0), std::nullopt, wall_s, 0});
  EXPECT_EQ(status["state"], "finished");
  EXPECT_EQ(status["state_text"], "finished, exit code 0");
  EXPECT_EQ(status["exit_code"], 0);
  EXPECT_EQ(status["iteration"], 300);
  EXPECT_EQ(status["start_iteration"], 200);
  EXPECT_EQ(status["loss"], 0.25);
  EXPECT_EQ(status["spent"]["compute"], 0.75);
  EXPECT_EQ(status["last_durable_age_seconds"], 60);
  EXPECT_EQ(status["checkpoint"]["iteration"], 300);
  EXPECT_TRUE(status["eta_seconds"].is_null());
  const auto lineage = Json::parse(lineage_json(*observer_.look(1)));
  EXPECT_EQ(lineage["attempts"][1]["parent"]["iteration"], 200);
  EXPECT_EQ(lineage["checkpoints"][1]["state"], "abandoned");
  EXPECT_EQ(lineage["checkpoints"][1]["eligible"], false);
  const auto curves = Json::parse(curves_json(*observer_.look(2)));
  EXPECT_EQ(curves["attempts"][0]["iteration"], Json({300}));
}

TEST(StatusJson, AShellReadsAnyPathAsOneWord) {
  EXPECT_EQ(shell_word("/a/b-c_d.e"), "/a/b-c_d.e");
  EXPECT_EQ(shell_word("/a b"), "'/a b'");
  EXPECT_EQ(shell_word("/it's;rm -rf ~"), "'/it'\\''s;rm -rf ~'");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("$(x)\n"), "'$(x)\n'");
}

}  // namespace
}  // namespace lockstep
