// What reaches the system: sockets, threads, the end of a process.

#include "coordinator/watchdog/watchdog.h"

#include <array>
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/watchdog/counting_files.h"
#include "coordinator/watchdog/parting.h"
#include "coordinator/watchdog/stack_dump.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/watchdog_pair.h"

namespace lockstep {
namespace {

using lockstep::testing::kQuick;
using lockstep::testing::next_packet;
using lockstep::testing::Pair;
using lockstep::testing::WatchdogDeathTest;
using ::testing::ExitedWithCode;
using ::testing::MatchesRegex;
using namespace std::chrono_literals;

TEST(UdpSocket, CarriesPacketsBothWaysAndTellsTheSizeOfLongOnes) {
  const UdpSocket a;
  const UdpSocket b;
  const auto to_a = a.peer("127.0.0.1", a.port());
  ASSERT_TRUE(to_a);
  std::array<std::byte, kPacketBytes> bytes{std::byte{7}};
  std::array<std::byte, kPacketBytes> got{};
  UdpPeer from;
  EXPECT_FALSE(a.receive(got, from)) << "never blocks";
  b.send(bytes, *to_a);
  EXPECT_EQ(next_packet(a, got, from), kPacketBytes);
  EXPECT_EQ(got, bytes);
  a.send(bytes, from);
  EXPECT_EQ(next_packet(b, got, from), kPacketBytes);
  b.send(std::array<std::byte, 100>{}, *to_a);
  EXPECT_EQ(next_packet(a, got, from), 100);
  b.send({}, *to_a);
  EXPECT_EQ(next_packet(a, got, from), 0);
}

TEST(UdpSocket, TakesNumbersAlone) {
  const UdpSocket socket;
  for (const auto* bad : {"", "localhost", "127.0.0.1.", "127.0.0", "::1::2", "fe80::1%lo"})
    EXPECT_FALSE(socket.peer(bad, 1)) << bad;
}

TEST_F(WatchdogDeathTest, AStackDumpShowsAThreadThatIsThereAndGivesUpOneThatIsNot) {
  EXPECT_EXIT(
      {
        prepare_stack_dump();
        const auto self = ::pthread_self();
        std::string seen;
        std::thread([&] { seen = stack_of(self, 2); }).join();
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        std::string unseen = "?";
        std::thread([&] { unseen = stack_of(self, 0.1); }).join();
        std::exit(seen.find("libc") != std::string::npos && unseen.empty() ? 0 : 1);
      },
      ExitedWithCode(0), "");
}

TEST(FinishWithin, GivesUpWhatHangs) {
  int meanwhile = 0;
  const auto count = [&] { ++meanwhile; };
  EXPECT_TRUE(finish_within(
      2, [] {}, count));
  EXPECT_EQ(meanwhile, 0);
  EXPECT_FALSE(finish_within(
      0.2, [] { std::this_thread::sleep_for(1s); }, count));
  EXPECT_GE(meanwhile, 1);
}

TEST(FinishWithin, CountsTheTimeThatTheRestTakes) {
  int meanwhile = 0;
  EXPECT_FALSE(finish_within(
      0.9, [] { std::this_thread::sleep_for(3s); },
      [&] {
        ++meanwhile;
        std::this_thread::sleep_for(300ms);
      }));
  EXPECT_LE(meanwhile, 3);
}

TEST(Lines, AreBounded) {
  const std::vector<Culprit> many(100, {3, "n1", Phase::kLoad, true, 31.9});
  const auto lines = lines_of(many);
  ASSERT_EQ(lines.size(), 17U);
  EXPECT_EQ(lines.front(), "rank 3 (n1): phase load, silent for 31 s");
  EXPECT_EQ(lines.back(), "and 84 more ranks");
}

TEST(Voice, SpeaksAsTheLogDoes) {
  ::testing::internal::CaptureStderr();
  Voice(false).warning("slow");
  Voice(false).error({"rank 1 hangs", "rank 2 hangs"});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "warning: slow\nrank 1 hangs\nrank 2 hangs\n");
  ::testing::internal::CaptureStderr();
  Voice(true).warning("slow");
  Voice(true).error({"rank 1 is in\na()\nb()", "rank 2 hangs"});
  const auto text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, MatchesRegex(R"re(\{"time":"[^"]*","level":"warning","message":"slow"\}
\{[^{]*"error","message":"rank 1 is in\\na\(\)\\nb\(\)"\}
\{[^{]*"error","message":"rank 2 hangs"\}
)re"));
}

TEST_F(WatchdogDeathTest, OfASingleRankEndsItWhereItMakesNoProgress) {
  EXPECT_EXIT(
      {
        ProgressBoard board;
        board.enter(Phase::kSave);
        const auto record = [](const std::vector<Culprit>& culprits) {
          std::fprintf(stderr, "recorded: %s\n", error_of(culprits).c_str());
        };
        const Watchdog watchdog(board, {.rule = kQuick,
                                        .rank = 0,
                                        .hosts = {"n1"},
                                        .speaks = true,
                                        .link = std::nullopt,
                                        .record = record});
        for (int i = 0; i < 60; ++i) {
          board.move();
          std::this_thread::sleep_for(10ms);
        }
        std::fprintf(stderr, "lived\n");
        std::this_thread::sleep_for(10s);
        std::exit(0);
      },
      ExitedWithCode(76), "lived\nrank 0 .n1.: phase save, no progress for 0 s\nrecorded: rank 0");
}

TEST_F(WatchdogDeathTest, OfRank0NamesTheOneAtWork) {
  EXPECT_EXIT(
      {
        const Pair pair(kQuick);
        std::this_thread::sleep_for(10s);
        std::exit(0);
      },
      ExitedWithCode(76), "rank 0 .n1.: phase launch, no progress for 0 s\nrank 1 .n2.: phase");
  EXPECT_EXIT(
      {
        Pair pair(kQuick);
        pair.rank_board.set_working(true);
        std::this_thread::sleep_for(10s);
        std::exit(0);
      },
      ExitedWithCode(76), "^rank 1 .n2.: phase launch, no progress for 0 s\n");
}

TEST_F(WatchdogDeathTest, ASlowRankIsReportedAndGoesOn) {
  EXPECT_EXIT(
      {
        Pair pair({.heartbeat_seconds = 0.05, .stall_seconds = 60});
        pair.root_board.set_work_seconds(0.1);
        pair.rank_board.set_work_seconds(0.25);
        std::this_thread::sleep_for(600ms);
        std::exit(0);
      },
      ExitedWithCode(0),
      "^warning: rank 1 .n2.: slow: 0.25 s of work in an iteration, the median of all ranks is "
      "0.1 s\n$");
}

TEST(Watchdog, OneThatMovesKeepsBothAlive) {
  Pair pair(kQuick);
  for (int i = 0; i < 100; ++i) {
    pair.rank_board.move();
    std::this_thread::sleep_for(10ms);
  }
}

TEST(Watchdog, WhoHasLeftIsNotMissed) {
  Pair pair(kQuick);
  std::this_thread::sleep_for(200ms);
  pair.rank.reset();
  for (int i = 0; i < 100; ++i) {
    pair.root_board.move();
    std::this_thread::sleep_for(10ms);
  }
}

TEST(CountingFiles, ShowWorkOfTheirOwnThreadAlone) {
  const lockstep::testing::TemporaryFolder folder;
  const auto real = make_posix_file_system();
  ProgressBoard board;
  const auto files = make_counting_files(*real, board);
  const auto path = folder / "file";
  files->overwrite(path, "text");
  EXPECT_EQ(board.standing(), (RankStanding{Phase::kLaunch, false, 0, 1}));
  EXPECT_EQ(read_small_file(*files, path), "text");
  const auto before = board.standing();
  EXPECT_GT(before.moves, 1U);
  std::thread([&] { files->overwrite(path, "other"); }).join();
  EXPECT_EQ(board.standing(), before);
  EXPECT_ANY_THROW(files->list(path + "/none"));
  EXPECT_FALSE(board.standing().working) << "an error ends the work, too";
}

TEST(CountingFiles, ShowTheWaitForThreadsAsWorkWhereTheirOwnThreadSaysSo) {
  const lockstep::testing::TemporaryFolder folder;
  const auto real = make_posix_file_system();
  ProgressBoard board;
  const auto files = make_counting_files(*real, board);
  {
    const auto at_work = files->at_work();
    EXPECT_TRUE(board.standing().working);
    files->overwrite(folder / "file", "text");
    EXPECT_TRUE(board.standing().working) << "until it is released";
    std::thread([&] { EXPECT_EQ(files->at_work(), nullptr); }).join();
    EXPECT_TRUE(board.standing().working);
  }
  EXPECT_FALSE(board.standing().working);
}

}  // namespace
}  // namespace lockstep
