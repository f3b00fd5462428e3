#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "coordinator/status/job_board.h"
#include "coordinator/status/prometheus_text.h"
#include "coordinator/status/status_json.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

Pace pace_at(std::int64_t iteration, double seconds = 0.5) {
  Pace pace;
  pace.iteration = iteration;
  pace.final_iteration = 1000;
  pace.position = iteration * 64;
  pace.loss = 0.25;
  pace.samples_made = 64;
  pace.seconds = seconds;
  return pace;
}

// A job in the middle of its training, as its threads would have said it.
class JobFiguresTest : public ::testing::Test {
 protected:
  JobFiguresTest() {
    auto store = std::make_shared<StorePicture>();
    store->path = "/secret/store";
    AttemptView attempt;
    attempt.number = 3;
    attempt.claim = Claim{};
    attempt.claim->run = "secret-run";
    attempt.claim->process.host = "secret-host";
    store->newest = attempt;
    store_ = store;
    progress_.enter(Phase::kTrain);
  }
  StatusPicture picture(double now_s = 100) const {
    return {store_, board_.figures(now_s), 1000 + now_s, now_s};
  }
  Json status(double now_s = 100) const { return Json::parse(status_json(picture(now_s))); }

  ProgressBoard progress_;
  JobBoard board_{progress_};
  std::shared_ptr<const StorePicture> store_;
};

TEST_F(JobFiguresTest, AreThoseOfTheLastIteration) {
  EXPECT_TRUE(status()["iteration"].is_null());
  board_.iteration(pace_at(201), 10);
  board_.iteration(pace_at(202), 10.5);
  const auto now = status();
  EXPECT_EQ(now["state"], "running");
  EXPECT_EQ(now["phase"], "train");
  EXPECT_EQ(now["iteration"], 202);
  EXPECT_EQ(now["samples"], 202 * 64);
  EXPECT_EQ(now["iterations_per_second"], 2);
  EXPECT_EQ(now["samples_per_second"], 128);
  EXPECT_EQ(now["eta_seconds"], 399);
  EXPECT_EQ(picture().job->pace->iterations_made, 2);
}

TEST_F(JobFiguresTest, TheRateCountsWhatComesBetweenIterations) {
  for (int i = 1; i <= 200; ++i)
    board_.iteration(pace_at(i, 0.1), i);  // a second apart, of which a tenth is the iteration's
  EXPECT_NEAR(status()["iterations_per_second"].get<double>(), 1, 0.01);
  EXPECT_NEAR(status()["eta_seconds"].get<double>(), 800, 8);
}

TEST_F(JobFiguresTest, AStoreThatIsNotReadIsTold) {
  const auto trouble = [this](double look_s, const std::string& unread) {
    auto store = *store_;
    store.unread = unread;
    auto all = picture();
    all.store = std::make_shared<StorePicture>(store);
    all.look_s = look_s;
    return store_trouble(all).value_or("");
  };
  EXPECT_EQ(trouble(0, ""), "");
  EXPECT_EQ(trouble(14, ""), "");
  EXPECT_EQ(trouble(16, ""), "/secret/store: its file system has not answered for 16 s");
  EXPECT_EQ(trouble(16, "no such file"), "no such file");
}

TEST_F(JobFiguresTest, WhatIsNotFiniteIsNull) {
  auto pace = pace_at(5);
  pace.loss = std::numeric_limits<double>::quiet_NaN();
  pace.gradient_norm = std::numeric_limits<double>::infinity();
  board_.iteration(pace, 0);
  EXPECT_TRUE(status()["loss"].is_null());
  EXPECT_TRUE(status()["gradient_norm"].is_null());
  EXPECT_THAT(prometheus_text(picture(), std::nullopt), Not(HasSubstr("lockstep_loss")));
}

TEST_F(JobFiguresTest, CountSavesAndKeepTheLatest) {
  board_.save_began(100);
  EXPECT_EQ(status()["saves"]["under_way"], 100);
  board_.save_ended({100, 0.4, 0.002, 4096}, 90);
  board_.save_began(200);
  board_.save_failed();
  const auto saves = status()["saves"];
  EXPECT_EQ(saves["committed"], 1);
  EXPECT_EQ(saves["failed"], 1);
  EXPECT_TRUE(saves["under_way"].is_null());
  EXPECT_EQ(saves["last_seconds"], 0.4);
  EXPECT_EQ(status()["last_durable_age_seconds"], 10);
  EXPECT_EQ(status()["last_committed"], "3@100");
  for (int i = 0; i < 150; ++i)
    board_.save_ended({300 + i, 1, 0, 1}, 95);
  EXPECT_EQ(status()["saves"]["recent"].size(), SaveFigures::kMostRecent);
  EXPECT_EQ(status()["saves"]["committed"], 151);
}

TEST_F(JobFiguresTest, OrderRanksByHowLongOthersWaitForThem) {
  std::vector<RankSight> ranks;
  for (int rank = 0; rank < 100; ++rank)
    ranks.push_back({rank, "h", Phase::kTrain, rank == 7 ? 0.9 : 0.5 + 0.0001 * rank, 1, true});
  ranks.push_back({100, "h", Phase::kLaunch, 0, 0, false});
  board_.ranks(ranks);
  const auto shown = status()["ranks"];
  EXPECT_EQ(shown["total"], 101);
  EXPECT_EQ(shown["heard"], 100);
  EXPECT_EQ(shown["slowest"].size(), 64U);
  EXPECT_EQ(shown["slowest"][0]["rank"], 7);
  EXPECT_NEAR(shown["slowest"][0]["lag_seconds"].get<double>(), 0.3951, 0.0005);
  const auto text = prometheus_text(picture(), std::nullopt);
  std::size_t series = 0;
  for (auto at = text.find("slow_rank_lag_seconds{"); at != std::string::npos;
       at = text.find("slow_rank_lag_seconds{", at + 1))
    ++series;
  EXPECT_EQ(series, 16U) << "no series for each rank";
  EXPECT_THAT(text, HasSubstr("lockstep_rank_work_seconds{quantile=\"1\"} 0.9"));
}

TEST_F(JobFiguresTest, PrometheusTextHoldsNoPathHostOrRun) {
  board_.iteration(pace_at(5), 0);
  board_.ranks({{0, "secret-host", Phase::kTrain, 0.5, 0, true}});
  const auto text = prometheus_text(picture(), 4096);
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, HasSubstr("\nlockstep_iterations_total 1\n"));
  EXPECT_THAT(text, HasSubstr("\nlockstep_iteration 5\n"));
  EXPECT_THAT(text, HasSubstr("\nlockstep_resident_memory_bytes 4096\n"));
}

TEST_F(JobFiguresTest, HistogramsAreCumulative) {
  for (const double seconds : {0.0005, 0.02, 0.3, 1000.0})
    board_.save_ended({1, seconds, 0, 1}, 0);
  const auto text = prometheus_text(picture(), std::nullopt);
  EXPECT_THAT(text, HasSubstr("lockstep_save_seconds_bucket{le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_save_seconds_bucket{le=\"0.02\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_save_seconds_bucket{le=\"0.5\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_save_seconds_bucket{le=\"600\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_save_seconds_bucket{le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("lockstep_save_seconds_count 4\n"));
}

TEST_F(JobFiguresTest, EndWithTheOutcomeOfTheStore) {
  board_.iteration(pace_at(5), 0);
  auto store = std::make_shared<StorePicture>(*store_);
  store->newest->outcome = Outcome{OutcomeKind::kPreempted, 75, 5, std::nullopt, {}};
  store_ = store;
  EXPECT_EQ(status()["state"], "running") << "its server is still there";
  board_.ended();
  EXPECT_EQ(status()["state"], "preempted");
  EXPECT_EQ(status()["exit_code"], 75);
  EXPECT_THAT(prometheus_text(picture(), std::nullopt), HasSubstr("\nlockstep_running 0\n"));
}

// For the thread sanitizer, too: readers get whole pictures while the training goes on.
TEST_F(JobFiguresTest, AreReadWhileTheTrainingSaysThem) {
  constexpr std::int64_t kIterations = 20000;
  std::atomic<bool> trained = false;
  std::thread trainer([this, &trained] {
    for (std::int64_t i = 1; i <= kIterations; ++i) {
      progress_.move();
      board_.iteration(pace_at(i), 0.5 * static_cast<double>(i));
      if (i % 100 == 0) board_.save_ended({i, 0.1, 0, 1}, 0);
    }
    trained = true;
  });
  std::thread watchdog([this] {
    for (int i = 0; i < 1000; ++i)
      board_.ranks({{0, "h", Phase::kTrain, 0.5, 0, true}});
  });
  std::int64_t seen = 0;
  while (!trained) {
    const auto figures = board_.figures(0);
    if (!figures.pace) continue;
    EXPECT_GE(figures.pace->iteration, seen);
    EXPECT_EQ(figures.pace->position, figures.pace->iteration * 64);
    EXPECT_EQ(figures.pace->iterations_made, figures.pace->iteration);
    seen = figures.pace->iteration;
  }
  trainer.join();
  watchdog.join();
  board_.ended();
  EXPECT_EQ(board_.figures(0).pace->iteration, kIterations);
  EXPECT_EQ(board_.figures(0).saves.committed, kIterations / 100);
}

TEST_F(JobFiguresTest, StateFollowsThePhase) {
  progress_.enter(Phase::kLoad);
  EXPECT_EQ(status()["state"], "starting");
  progress_.enter(Phase::kSave);
  EXPECT_EQ(status()["state"], "running");
  progress_.enter(Phase::kEnd);
  EXPECT_EQ(status()["state"], "ending");
}

}  // namespace
}  // namespace lockstep
