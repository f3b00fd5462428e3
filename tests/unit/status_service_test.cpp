#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
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
#include "tests/support/store_on_disk.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using testing::HttpClient;
using ::testing::Not;
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

TEST(TextFile, IsReplacedWholeAndLeavesNothingBeside) {
  const TemporaryFolder folder;
  const auto path = folder / "x.prom";
  replace_text_file(path, "old\n");
  std::atomic<bool> ends = false;
  std::thread reader([&] {
    while (!ends) {
      const auto text = text_of(path);
      EXPECT_TRUE(text == "old\n" || text == "new\n") << text;
    }
  });
  for (int i = 0; i < 200; ++i)
    replace_text_file(path, i % 2 == 0 ? "new\n" : "old\n");
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
