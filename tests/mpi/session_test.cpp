// Whole jobs with failures planted in the file system, on a chosen rank, at each operation in turn:
// deciding, claiming, loading, saving and ending must fail alike on every rank, or not at all.

#include "coordinator/daemon/session.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/agree.h"
#include "common/comm.h"
#include "common/config.h"
#include "common/error.h"
#include "coordinator/catalog.h"
#include "coordinator/config_loader.h"
#include "tests/support/fault_file_system.h"

namespace lockstep {
namespace {

using lockstep::testing::Fault;
using lockstep::testing::FaultFileSystem;
using lockstep::testing::Op;

constexpr std::array kOps = {Op::kInfo,       Op::kList,       Op::kOpen,    Op::kReadAt,
                             Op::kCreate,     Op::kAppend,     Op::kReserve, Op::kWriteAt,
                             Op::kFinish,     Op::kMakeFolder, Op::kRename,  Op::kLink,
                             Op::kSyncFolder, Op::kClaimFolder};
constexpr int kMostCalls = 400;  // of one operation in one job; a limit on the loop, not a promise

enum class Culprit { kFirst, kLast, kAll };

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    real_ = make_posix_file_system();
    folder_ = root_decides(comm_, "make a folder", [] {
      const auto path =
          std::filesystem::temp_directory_path() / ("lockstep-session-" + random_hex(8));
      std::filesystem::create_directory(path);
      return path.string();
    });
  }
  void TearDown() override {
    barrier(comm_);
    if (comm_.is_root()) std::filesystem::remove_all(folder_);
  }

  bool is_culprit(Culprit who) const {
    return who == Culprit::kAll || comm_.rank() == (who == Culprit::kFirst ? 0 : comm_.size() - 1);
  }

  // On one rank they are all the same.
  std::vector<Culprit> culprits() const {
    if (comm_.size() == 1) return {Culprit::kFirst};
    return {Culprit::kFirst, Culprit::kLast, Culprit::kAll};
  }

  // One job to iteration `to`; its exit code, which must be every rank's.
  int run(FileSystem& files, std::int64_t to, const std::string& more = "") {
    const auto text =
        "run: {max_iterations: " + std::to_string(to) +
        "}\nstore: ./store\ntask: {name: synthetic, parameters: 64, tensors: 4}\n"
        "data: {global_batch: 8}\ncheckpoint: {interval: 2, keep_last: 1, max_failures: 1}\n"
        "log: {level: error}\n" +
        more;
    const auto read = [&] {
      return encode(parse_config(text, folder_ + "/train.yaml", {},
                                 [](const std::string&) { return std::nullopt; }));
    };
    // One order of operations, so that the nth of a kind is the same one in every job.
    Supervision supervision;
    const auto code =
        run_session(comm_, files, read, supervision, Purpose::kTrain, RunsOn::kCallersThread);
    EXPECT_EQ(code, std::stoi(root_decides(comm_, "compare", [&] { return std::to_string(code); })))
        << "every rank ends with the same code";
    return code;
  }

  std::string store() const { return folder_ + "/store"; }

  // On rank 0: every checkpoint that there is, is whole.
  void expect_all_whole() {
    if (!comm_.is_root()) return;
    for (const auto& checkpoint : scan_store(*real_, store()).checkpoints)
      EXPECT_EQ(examine(*real_, store(), checkpoint, Depth::kBytes).why, "")
          << to_text(checkpoint.id);
  }

  // Copies the store as it stood after the first job back into its place.
  void reset_store() {
    agree(comm_, "reset", [&] {
      if (!comm_.is_root()) return;
      std::filesystem::remove_all(store());
      std::filesystem::copy(folder_ + "/first", store(), std::filesystem::copy_options::recursive);
    });
  }

  // One job with a fault at the nth call of `op`; false where it makes fewer calls than that.
  bool run_with_fault(Op op, int nth, Culprit who) {
    SCOPED_TRACE("op " + std::to_string(static_cast<int>(op)) + ", call " + std::to_string(nth) +
                 ", culprit " + std::to_string(static_cast<int>(who)));
    reset_store();
    FaultFileSystem files(*real_);
    if (is_culprit(who)) files.fault_next(op, Fault::kThrow, nth);
    const int code = run(files, 3, "restore: latest\n");
    EXPECT_TRUE(code == 0 || code == 2 || code == 3) << code;
    expect_all_whole();
    return any(files.fired() > 0);
  }

  bool any(bool mine) {
    int value = mine ? 1 : 0;
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, comm_.raw()),
              "MPI_Allreduce");
    return value != 0;
  }

  Comm comm_ = Comm::duplicate(MPI_COMM_WORLD);
  std::unique_ptr<FileSystem> real_;
  std::string folder_;
};

TEST_F(SessionTest, AFaultAtAnyOperationOfAnyRankEndsAllRanksAlike) {
  ASSERT_EQ(run(*real_, 2), 0);
  if (comm_.is_root())
    std::filesystem::copy(store(), folder_ + "/first", std::filesystem::copy_options::recursive);
  int faults = 0;
  for (const auto op : kOps)
    for (const auto who : culprits())
      for (int nth = 1; nth <= kMostCalls; ++nth) {
        if (!run_with_fault(op, nth, who)) break;
        ++faults;
        ASSERT_LT(nth, kMostCalls);
      }
  EXPECT_GT(faults, 50);
  // The communicator and the store are as good as before.
  reset_store();
  EXPECT_EQ(run(*real_, 4, "restore: latest\n"), 0);
}

TEST_F(SessionTest, AStoreThatCanNotBeReadIsExit3AndNothingIsWritten) {
  ASSERT_EQ(run(*real_, 2), 0);
  FaultFileSystem files(*real_);
  if (comm_.is_root()) files.fail_when(Op::kList, "attempts");
  EXPECT_EQ(run(files, 4, "restore: latest\n"), 3);
  if (comm_.is_root()) {
    EXPECT_EQ(scan_store(*real_, store()).attempts.size(), 1U);
  }
}

TEST_F(SessionTest, ABadConfigurationIsExit2OnEveryRank) {
  EXPECT_EQ(run(*real_, 2, "nonsense: 1\n"), 2);
  EXPECT_FALSE(std::filesystem::exists(store()));
}

TEST_F(SessionTest, MoreRanksThanSamplesIsExit2BeforeAnythingIsClaimed) {
  EXPECT_EQ(run(*real_, 2, ""), 0);
  Supervision supervision;
  const auto read = [&] {
    return encode(
        parse_config("run: {max_iterations: 4}\nstore: ./other\ntask: {name: synthetic, "
                     "parameters: 64, tensors: 4}\n"
                     "data: {global_batch: 1}\nlog: {level: error}\n",
                     folder_ + "/train.yaml", {}, [](const std::string&) { return std::nullopt; }));
  };
  const auto code = run_session(comm_, *real_, read, supervision);
  EXPECT_EQ(code, comm_.size() > 1 ? 2 : 0);
  if (comm_.size() > 1) {
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/other"));
  }
}

}  // namespace
}  // namespace lockstep
