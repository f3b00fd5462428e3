#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "common/error.h"
#include "coordinator/status/page.h"
#include "coordinator/status/service.h"
#include "coordinator/status/text_file.h"
#include "tests/support/http_client.h"
#include "tests/support/pausing_file_system.h"
#include "tests/support/store_on_disk.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using testing::HttpClient;
using ::testing::Not;
using testing::PausingFileSystem;
using testing::StoreOnDisk;
using testing::TemporaryFolder;
using Json = nlohmann::json;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class StatusServiceTest : public ::testing::Test {
 protected:
  StatusServiceTest() {
    setup_.store = store_.path();
    setup_.listen = ListenAddress{"", 0};
    store_.attempt("demo");
    store_.checkpoint({1, 100});
  }
  std::shared_ptr<FileSystem> files() const { return make_posix_file_system(); }
  static std::string get(const StatusService& service, const std::string& path) {
    const HttpClient client(*service.address());
    client.get(path);
    const auto answer = client.all();
    return answer.starts_with("HTTP/1.1 200 ") ? answer.substr(answer.find("\r\n\r\n") + 4) : "";
  }

  StoreOnDisk store_{"service"};
  TemporaryFolder folder_;
  StatusSetup setup_;
};

TEST_F(StatusServiceTest, ServesAStoreFromItsFiles) {
  const StatusService service(files(), setup_);
  EXPECT_EQ(Json::parse(get(service, "/status"))["state"], "finished");
  EXPECT_EQ(Json::parse(get(service, "/api/lineage"))["checkpoints"].size(), 1U);
  EXPECT_EQ(Json::parse(get(service, "/api/decision"))["run"], "demo");
  EXPECT_TRUE(Json::parse(get(service, "/api/curves"))["attempts"].empty());
  EXPECT_THAT(get(service, "/metrics"), HasSubstr("\nlockstep_checkpoints 1\n"));
  EXPECT_THAT(get(service, "/"), HasSubstr("<html"));
}

TEST_F(StatusServiceTest, SaysWhereItListensWhileItDoes) {
  setup_.control_file = folder_ / "control.json";
  {
    const StatusService service(files(), setup_);
    const auto address = Json::parse(text_of(setup_.control_file))["address"];
    EXPECT_EQ(address, to_text(*service.address()));
  }
  EXPECT_FALSE(std::filesystem::exists(setup_.control_file));
}

TEST_F(StatusServiceTest, LeavesItsLastTextForTheCollector) {
  ProgressBoard progress;
  JobBoard board(progress);
  setup_.listen.reset();
  setup_.textfile = folder_ / "lockstep.prom";
  setup_.job = &board;
  {
    StatusService service(files(), setup_);
    EXPECT_FALSE(service.address());
    Pace pace;
    pace.iteration = 7;
    board.iteration(pace, 0);
    board.ended();
    service.finish(20);
  }
  const auto text = text_of(setup_.textfile);
  EXPECT_THAT(text, HasSubstr("\nlockstep_iteration 7\n"));
  EXPECT_THAT(text, HasSubstr("\nlockstep_running 0\n"));
  struct stat found {};
  ASSERT_EQ(::stat(setup_.textfile.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0644U) << "another user's collector reads it";
}

TEST_F(StatusServiceTest, ATextFileThatCannotBeWrittenIsSaidOnce) {
  std::atomic<int> warnings = 0;
  setup_.listen.reset();
  setup_.textfile = folder_ / "absent/lockstep.prom";
  setup_.textfile_period_s = 0;
  setup_.warn = [&](const std::string& what) {
    ++warnings;
    EXPECT_THAT(what, HasSubstr("metrics.textfile"));
  };
  StatusService service(files(), setup_);
  service.finish(20);
  EXPECT_EQ(warnings, 1);
}

// A disk that stands still while the job ends: the job ends.
TEST_F(StatusServiceTest, AStoreThatDoesNotAnswerHoldsUpNoEnd) {
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool entered = false;
    bool open = false;
  };
  const auto gate = std::make_shared<Gate>();
  const std::shared_ptr<FileSystem> real = files();
  struct Stalling : PausingFileSystem {  // and keeps alive what its thread still needs
    Stalling(std::shared_ptr<FileSystem> inner, std::function<void()> meanwhile)
        : PausingFileSystem(*inner, 2, std::move(meanwhile)), kept(std::move(inner)) {}
    std::shared_ptr<FileSystem> kept;
  };
  const auto stalling = std::make_shared<Stalling>(real, [gate] {
    std::unique_lock lock(gate->mutex);
    gate->entered = true;
    gate->changed.notify_all();
    gate->changed.wait(lock, [&] { return gate->open; });
  });
  {
    ProgressBoard progress;
    JobBoard board(progress);
    setup_.job = &board;
    StatusService service(stalling, setup_);
    {
      std::unique_lock lock(gate->mutex);
      ASSERT_TRUE(
          gate->changed.wait_for(lock, std::chrono::seconds(20), [&] { return gate->entered; }));
    }
    service.finish(0.05);
  }  // what it read of the job is gone
  const std::lock_guard lock(gate->mutex);
  gate->open = true;
  gate->changed.notify_all();
}

TEST(TextFile, LeavesWhatIsNotItsOwn) {
  const TemporaryFolder folder;
  const auto refuses = [](const std::string& path) {
    try {
      replace_text_file(path, "# HELP lockstep_x\n");
    } catch (const Error& e) {
      return std::string(e.what()).find("something else is there") != std::string::npos;
    }
    return false;
  };
  std::ofstream(folder / "train.yaml") << "run: {max_iterations: 10}\n";
  EXPECT_TRUE(refuses(folder / "train.yaml"));
  EXPECT_EQ(text_of(folder / "train.yaml"), "run: {max_iterations: 10}\n");
  std::filesystem::create_directory(folder / "folder");
  EXPECT_TRUE(refuses(folder / "folder"));
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_TRUE(refuses(folder / "fifo"));
  std::filesystem::create_symlink("/dev/null", folder / "link");
  EXPECT_TRUE(refuses(folder / "link"));
  std::ofstream(folder / "empty.prom") << "";
  EXPECT_FALSE(refuses(folder / "empty.prom"));
  EXPECT_FALSE(refuses(folder / "empty.prom")) << "its own, by now";
}

TEST(TextFile, IsReplacedWholeAndLeavesNothingBeside) {
  const TemporaryFolder folder;
  const auto path = folder / "x.prom";
  replace_text_file(path, "# HELP lockstep_old\n");
  std::atomic<bool> ends = false;
  std::thread reader([&] {
    while (!ends) {
      const auto text = text_of(path);
      EXPECT_TRUE(text == "# HELP lockstep_old\n" || text == "# HELP lockstep_new\n") << text;
    }
  });
  for (int i = 0; i < 200; ++i)
    replace_text_file(path, i % 2 == 0 ? "# HELP lockstep_new\n" : "# HELP lockstep_old\n");
  ends = true;
  reader.join();
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path()))
    ++entries;
  EXPECT_EQ(entries, 1);
  EXPECT_THROW(replace_text_file(folder / "absent/x", ""), Error);
}

TEST(DashboardPage, CarriesANonceOfItsOwnAndLoadsNothing) {
  const auto one = dashboard_page();
  const auto other = dashboard_page();
  EXPECT_NE(one.policy, other.policy);
  const auto at = one.policy.find("'nonce-") + 7;
  const auto nonce = one.policy.substr(at, one.policy.find('\'', at) - at);
  EXPECT_THAT(one.body, HasSubstr("nonce=\"" + nonce + "\""));
  for (const auto* place : {"@NONCE@", "@STYLE@", "@CHART@", "@SCRIPT@", " src=\"",
                            "rel=\"stylesheet", " style=\"", "onclick="})
    EXPECT_THAT(one.body, Not(HasSubstr(place))) << place;
  EXPECT_THAT(one.policy, HasSubstr("default-src 'none'"));
}

}  // namespace
}  // namespace lockstep
