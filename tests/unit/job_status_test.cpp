#include "coordinator/daemon/job_status.h"

#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/store_on_disk.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using testing::StoreOnDisk;
using testing::TemporaryFolder;

const Log kSilent({}, false);

class JobStatusTest : public ::testing::Test {
 protected:
  JobStatusTest() { store_.attempt("demo", {}, std::nullopt); }
  // Shows and ends it.
  void show() {
    const auto service = show_status(loaded_, store_.path(), 1, figures_, kSilent);
    if (service) service->finish(20);
  }

  StoreOnDisk store_{"job-status"};
  TemporaryFolder folder_;
  LoadedConfig loaded_;
  ProgressBoard progress_;
  JobBoard figures_{progress_};
};

TEST_F(JobStatusTest, IsShownWhereItIsAskedFor) {
  EXPECT_FALSE(shows_status(loaded_));
  EXPECT_EQ(show_status(loaded_, store_.path(), 1, figures_, kSilent), nullptr);
  loaded_.paths.textfile = folder_ / "x.prom";
  EXPECT_TRUE(shows_status(loaded_));
  show();
  EXPECT_TRUE(std::filesystem::exists(folder_ / "x.prom"));
}

// A name in a store means something: attempts/0002 would be the claim of a newer attempt.
TEST_F(JobStatusTest, PutsNothingIntoTheStore) {
  const auto claim = attempt_path(store_.path(), 2);
  const auto before = store_.content();
  loaded_.paths.textfile = claim;
  show();
  loaded_.paths.textfile.reset();
  loaded_.config.control_listen = "unix:x";
  loaded_.paths.socket = claim;
  show();
  EXPECT_EQ(store_.content(), before);
  EXPECT_FALSE(std::filesystem::exists(claim));
}

}  // namespace
}  // namespace lockstep
