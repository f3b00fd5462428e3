#include "coordinator/metrics_log.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "coordinator/event_file.h"
#include "coordinator/growing_file.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/store_builder.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using testing::Fault;
using testing::FaultFileSystem;
using ::testing::HasSubstr;
using testing::Op;
using ::testing::StartsWith;
using testing::StoreBuilder;
using testing::TemporaryFolder;

const Log kSilent({}, false);

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

class GrowingFileTest : public ::testing::Test {
 protected:
  GrowingFile make(const Log& log = kSilent) { return {"figures", files_, path_, "", log}; }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "figures";
  std::unique_ptr<FileSystem> real_ = make_posix_file_system();
  FaultFileSystem files_{*real_};
};

TEST_F(GrowingFileTest, EachRecordIsThereOnceItIsAppended) {
  auto file = make();
  file.append("one\n");
  EXPECT_EQ(text_of(path_), "one\n");
  file.append("two\n");
  EXPECT_EQ(text_of(path_), "one\ntwo\n");
  file.finish();
  EXPECT_EQ(text_of(path_), "one\ntwo\n");
}

TEST_F(GrowingFileTest, WhatFailedIsWrittenLaterAndNoRecordIsTorn) {
  for (const auto fault : {Fault::kThrow, Fault::kHalfThenThrow, Fault::kDoneThenThrow}) {
    std::filesystem::remove(path_);
    auto file = make();
    file.append("one\n");
    files_.fault_next(Op::kOverwrite, fault);
    file.append("the second one\n");
    file.append("3\n");
    EXPECT_EQ(text_of(path_), "one\nthe second one\n3\n");
    files_.fault_next(Op::kOverwrite, fault);
    file.append("four\n");
    file.finish();
    EXPECT_EQ(text_of(path_), "one\nthe second one\n3\nfour\n");
  }
}

TEST_F(GrowingFileTest, AFileThatCanNotBeMadeYetIsMadeLater) {
  files_.fail_next(Op::kOverwrite);
  auto file = make();
  file.append("one\n");
  EXPECT_FALSE(std::filesystem::exists(path_));
  file.append("two\n");
  EXPECT_EQ(text_of(path_), "one\ntwo\n");
}

TEST_F(GrowingFileTest, AFailureIsSaidOnceAndSoIsWhatIsLost) {
  const Log log({}, true);
  ::testing::internal::CaptureStderr();
  std::filesystem::create_directory(path_);
  auto file = make(log);
  for (int i = 0; i < 100; ++i)
    file.append("a record\n");
  file.finish();
  const auto said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(count_of(said, "warning: figures: open"), 1U) << said;
  EXPECT_THAT(said, HasSubstr("warning: figures: 100 records could not be written"));
  EXPECT_EQ(count_of(said, "\n"), 2U) << said;
}

TEST_F(GrowingFileTest, AFailureThatEndsIsSaidToBeOver) {
  const Log log({}, true);
  ::testing::internal::CaptureStderr();
  files_.fail_next(Op::kOverwrite);
  auto file = make(log);
  file.append("one\n");
  file.append("two\n");
  file.finish();
  const auto said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("figures: written again"));
  EXPECT_EQ(count_of(said, "lost") + count_of(said, "could not"), 0U) << said;
}

TEST_F(GrowingFileTest, WhereItIsRemovedOrCutOffItBeginsAnewAndThatIsSaid) {
  const Log log({}, true);
  for (const bool removed : {true, false}) {
    ::testing::internal::CaptureStderr();
    auto file = make(log);
    file.append("one\n");
    if (removed) {
      std::filesystem::remove(path_);
    } else {
      std::filesystem::resize_file(path_, 0);
    }
    file.append("two\n");
    file.append("three\n");
    file.finish();
    EXPECT_EQ(text_of(path_), "two\nthree\n");
    EXPECT_EQ(count_of(::testing::internal::GetCapturedStderr(), "removed or cut off"), 1U);
    std::filesystem::remove(path_);
  }
}

// A file system is not held by it: it can be remounted read-only, say.
TEST_F(GrowingFileTest, NothingStaysOpen) {
  auto file = make();
  file.append("one\n");
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    EXPECT_NE(std::filesystem::read_symlink(entry.path(), gone), std::filesystem::path(path_));
  }
}

TEST_F(GrowingFileTest, WhatIsKeptHasALimitAndTheFirstRecordsStay) {
  files_.fail_when(Op::kOverwrite, "figures");
  auto file = make();
  const std::string record(GrowingFile::kMostKept / 4, 'x');
  for (const char* name : {"1", "2", "3", "4", "5"})
    file.append(name + record.substr(1));
  files_.clear();
  file.finish();
  EXPECT_EQ(text_of(path_).size(), GrowingFile::kMostKept);
  EXPECT_THAT(text_of(path_), StartsWith("1x"));
}

class MetricsLogTest : public ::testing::Test {
 protected:
  std::string attempt() const { return folder_ / "0003"; }
  std::string tensorboard() const { return folder_ / "tensorboard"; }
  MetricsLog make(RunsOn runs_on, const Log& log = kSilent, bool events = false) {
    const MetricsOrigin origin{.run = "r", .attempt = 3, .iteration = 20};
    std::optional<EventFile> file;
    if (events) file = {tensorboard(), event_file_name(3, 1, "n"), 21};
    return {files_, log, origin, attempt(), file, runs_on};
  }
  std::vector<std::int64_t> iterations() const {
    std::vector<std::int64_t> found;
    std::ifstream file(attempt() + "/metrics.jsonl");
    for (std::string line; std::getline(file, line);)
      found.push_back(nlohmann::json::parse(line)["iteration"]);
    return found;
  }
  void SetUp() override { std::filesystem::create_directory(attempt()); }

  TemporaryFolder folder_;
  std::unique_ptr<FileSystem> real_ = make_posix_file_system();
  FaultFileSystem files_{*real_};
};

TEST_F(MetricsLogTest, BeginsWithTheStartAndWritesAllInOrder) {
  for (const auto runs_on : {RunsOn::kOwnThread, RunsOn::kCallersThread}) {
    std::filesystem::remove(attempt() + "/metrics.jsonl");
    auto metrics = make(runs_on);
    EXPECT_THAT(iterations(), ElementsAre(20)) << "before the first iteration";
    metrics.add(Interval{.iteration = 30, .iterations = 10});
    metrics.add(Evaluation{.iteration = 30});
    metrics.add(Interval{.iteration = 35, .iterations = 5});
    metrics.finish(30);
    EXPECT_THAT(iterations(), ElementsAre(20, 30, 30, 35));
  }
}

TEST_F(MetricsLogTest, WritesEventsWhereTheyAreAskedFor) {
  make(RunsOn::kOwnThread).finish(30);
  EXPECT_FALSE(std::filesystem::exists(tensorboard()));
  std::filesystem::remove(attempt() + "/metrics.jsonl");
  auto metrics = make(RunsOn::kOwnThread, kSilent, true);
  metrics.add(Interval{.iteration = 30, .iterations = 10});
  metrics.finish(30);
  const auto written = text_of(tensorboard() + "/0003.events.out.tfevents.1.n");
  EXPECT_THAT(written, HasSubstr("brain.Event:2"));
  EXPECT_THAT(written, HasSubstr("train/loss"));
}

TEST_F(MetricsLogTest, OneFileThatCanNotBeWrittenDoesNotCostTheOther) {
  std::ofstream(tensorboard()) << "in the way";
  auto metrics = make(RunsOn::kOwnThread, kSilent, true);
  metrics.add(Interval{.iteration = 30, .iterations = 10});
  metrics.finish(30);
  EXPECT_THAT(iterations(), ElementsAre(20, 30));
}

// A store in which nothing is written until it is let go.
class HeldFiles : public FaultFileSystem {
 public:
  explicit HeldFiles(FileSystem& inner) : FaultFileSystem(inner) {}

  void write_into(const std::string& path, std::uint64_t offset, const std::string& text) override {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !held_; });
    }
    FaultFileSystem::write_into(path, offset, text);
  }
  void hold() { set(true); }
  void let_go() { set(false); }

 private:
  void set(bool held) {
    const std::scoped_lock lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

TEST_F(MetricsLogTest, AStoreThatHangsHoldsUpNobodyAndWhatIsLostIsCounted) {
  constexpr std::size_t kMore = 10;
  HeldFiles held(*real_);
  const Log log({}, true);
  ::testing::internal::CaptureStderr();
  {
    MetricsLog metrics(held, log, {.run = "r", .attempt = 3}, attempt(), {}, RunsOn::kOwnThread);
    held.hold();
    // One may be on its way.
    for (std::size_t i = 0; i < MetricsLog::kMostWaiting + kMore + 1; ++i)
      metrics.add(Interval{.iteration = static_cast<std::int64_t>(i + 1), .iterations = 1});
    held.let_go();
    metrics.finish(60);
  }
  const auto said = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.find("10 records lost") != std::string::npos ||
              said.find("11 records lost") != std::string::npos)
      << said;
  auto found = iterations();
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
  EXPECT_GE(found.size(), MetricsLog::kMostWaiting + 1);
}

TEST_F(MetricsLogTest, AtTheEndThereIsALimitToTheWait) {
  HeldFiles held(*real_);
  const Log log({}, true);
  ::testing::internal::CaptureStderr();
  MetricsLog metrics(held, log, {.run = "r", .attempt = 3}, attempt(), {}, RunsOn::kOwnThread);
  held.hold();
  for (std::int64_t i = 1; i <= 5; ++i)
    metrics.add(Interval{.iteration = i, .iterations = 1});
  // The one on its way has to come back; the others are given up by then.
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    held.let_go();
  });
  metrics.finish(0.01);
  later.join();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("records lost"));
  EXPECT_LT(iterations().size(), 4U);
}

struct ForgetRow {
  const char* name;
  std::optional<Parent> parent;
  std::int64_t iteration;
  std::vector<std::string> event_files;
  std::int64_t expected;
};

TEST(FirstStepToForget, IsBehindWhatTheLineagesShare) {
  // 1: to 1000; 2 from 1@400; 3 from 1@800; 4 fresh.
  const StoreView store = StoreBuilder()
                              .attempt("a", {})
                              .checkpoint(400)
                              .checkpoint(800)
                              .checkpoint(1000)
                              .attempt("a", {}, CheckpointId{1, 400})
                              .checkpoint(700)
                              .attempt("a", {}, CheckpointId{1, 800})
                              .checkpoint(900)
                              .attempt("a", {})
                              .checkpoint(100);
  const std::string one = "0001.events.out.tfevents.5.n";
  const std::string two = "0002.events.out.tfevents.4.n";
  const std::string four = "0004.events.out.tfevents.9.n";
  const std::vector<ForgetRow> rows = {
      {"a fresh start forgets all", {}, 0, {one, two}, 1},
      {"carried on", Parent{{2, 700}, {}}, 700, {one, two}, 701},
      {"back in the same attempt", Parent{{1, 400}, {}}, 400, {one}, 401},
      {"back to what the newest one carries on", Parent{{1, 200}, {}}, 200, {one, two}, 201},
      {"to an abandoned branch: what is shown parts from it before",
       Parent{{1, 800}, {}},
       800,
       {one, two},
       401},
      {"from a branch to another", Parent{{3, 900}, {}}, 900, {one, two}, 401},
      {"nothing in common", Parent{{1, 800}, {}}, 800, {one, four}, 1},
      {"nothing is shown", Parent{{1, 800}, {}}, 800, {}, 801},
      {"foreign names and later attempts do not count",
       Parent{{1, 800}, {}},
       800,
       {"events.out.tfevents.1.n", "0009.events.out.tfevents.1.n"},
       801},
      {"from another store", Parent{{1, 800}, "other"}, 800, {one}, 1},
  };
  const auto files = make_posix_file_system();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const TemporaryFolder folder;
    for (const auto& name : row.event_files)
      std::ofstream(folder / name) << "x";
    const MetricsOrigin origin{
        .run = "a", .attempt = 5, .iteration = row.iteration, .parent = row.parent};
    EXPECT_EQ(first_step_to_forget(*files, folder.path(), store, origin), row.expected);
  }
  EXPECT_EQ(
      first_step_to_forget(*files, "/nowhere", store, {.run = "a", .attempt = 5, .iteration = 7}),
      8);
}

}  // namespace
}  // namespace lockstep
