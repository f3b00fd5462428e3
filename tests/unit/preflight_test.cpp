#include "coordinator/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

TEST(AdviceAfter, AFullDiskIsTheOneThingToMend) {
  for (const auto* cause : {"write a: No space left on device", "write a: no space left on device",
                            "write a: Disk quota exceeded"})
    EXPECT_THAT(advice_after(cause, "mend it"), HasSubstr("prune STORE --abandoned")) << cause;
  EXPECT_EQ(advice_after("write a: Input/output error", "mend it"), "mend it");
}

TEST(Preflight, WarningsAreNoFailureAndTheFirstErrorGivesTheCode) {
  std::vector<Check> checks = {Check::ok("a", "fine"), Check::warning("b", "odd", "look")};
  EXPECT_EQ(exit_code_of(checks), 0);
  checks.push_back(Check::error("c", ErrorCode::kIo, "out of reach", "wait"));
  EXPECT_EQ(exit_code_of(checks), 3);
  checks.insert(checks.begin(), Check::error("d", ErrorCode::kInvalidConfig, "wrong", "change"));
  EXPECT_EQ(exit_code_of(checks), 2);
}

TEST(Preflight, TheTextIsATableWithAdviceBelow) {
  EXPECT_EQ(to_text({Check::ok("store", "there"), Check::warning("clock", "odd\x1b[1m", "set it"),
                     Check::error("x", ErrorCode::kIo, "bad", "")}),
            "ok       store  there\n"
            "warning  clock  odd\\x1b[1m\n"
            "                set it\n"
            "error    x      bad\n"
            "3 checks: 1 ok, 1 warning, 1 error\n");
}

TEST(Preflight, TheJsonHoldsTheSame) {
  const auto json = nlohmann::json::parse(
      to_json({Check::ok("store", "there"), Check::error("x", ErrorCode::kIo, "bad\xff", "go")}));
  EXPECT_EQ(json["exit_code"], 3);
  EXPECT_EQ(json["checks"][0],
            nlohmann::json::parse(
                R"({"name": "store", "verdict": "ok", "text": "there", "advice": null})"));
  EXPECT_EQ(json["checks"][1]["verdict"], "error");
  EXPECT_EQ(json["checks"][1]["advice"], "go");
}

TEST(Preflight, SpaceIsJudgedByWhatTheJobWillKeep) {
  struct Row {
    const char* what;
    Space space;
    Verdict verdict;
    const char* text;
  };
  const std::vector<Row> rows = {
      {"unknown size", {kGib, {}, 3, 0}, Verdict::kOk, "known after the first"},
      {"full, of unknown size", {0, {}, 3, 0}, Verdict::kError, "0 B free"},
      {"all fit", {5 * kGib, kGib, 3, 0}, Verdict::kOk, "room for 5 checkpoints of 1.0 GiB"},
      {"one short", {5 * kGib - 1, kGib, 3, 0}, Verdict::kWarning, "wants room for 5"},
      {"those kept are there", {3 * kGib, kGib, 3, 2}, Verdict::kOk, "wants room for 3"},
      {"more are there", {2 * kGib, kGib, 3, 50}, Verdict::kOk, "wants room for 2"},
      {"only one fits", {2 * kGib - 1, kGib, 1, 50}, Verdict::kError, "room for 1 checkpoint "},
      {"none", {0, kGib, 1, 0}, Verdict::kError, "room for 0 checkpoints"},
      {"an empty checkpoint", {kGib, 0, 3, 0}, Verdict::kOk, "free"},
      {"a huge number to keep", {kGib, 1, INT64_MAX - 2, 0}, Verdict::kWarning, "wants room"},
  };
  for (const auto& row : rows) {
    const auto check = judge_space(row.space);
    EXPECT_EQ(check.verdict, row.verdict) << row.what << ": " << check.text;
    EXPECT_THAT(check.text, HasSubstr(row.text)) << row.what;
    EXPECT_EQ(check.advice.empty(), row.verdict == Verdict::kOk) << row.what;
  }
}

TEST(Preflight, ClocksMayDifferByALittle) {
  EXPECT_EQ(judge_clock("its", 4).verdict, Verdict::kOk);
  EXPECT_EQ(judge_clock("its", -4).verdict, Verdict::kOk);
  const auto ahead = judge_clock("the file server's", 90);
  EXPECT_EQ(ahead.verdict, Verdict::kWarning);
  EXPECT_EQ(ahead.text, "the file server's is 90 s ahead of this host's");
  EXPECT_EQ(judge_clock("its", -7).text, "its is 7 s behind this host's");
}

TEST(Preflight, MemoryIsJudgedHostByHost) {
  EXPECT_EQ(
      judge_memory({{"a", kGib, 2 * kGib}, {"b", kGib, 2 * kGib}}).text,
      "a: its ranks need 1.0 GiB besides the work on a batch, available are 2.0 GiB; likewise "
      "on 1 other host");
  const auto short_of = judge_memory({{"a", kGib, 2 * kGib}, {"b", kGib, kGib - 1}});
  EXPECT_EQ(short_of.verdict, Verdict::kError);
  EXPECT_EQ(exit_code(short_of.code), 2);
  EXPECT_THAT(short_of.text, HasSubstr("b: its ranks need"));
  EXPECT_EQ(judge_memory({{"a", kGib, 0}}).verdict, Verdict::kOk) << "it can't be told";
}

TEST(Preflight, WhatMustBeAlikeNamesWhoDiffers) {
  const OfRank first{"n1", "x"};
  EXPECT_EQ(judge_alike("build", {first, first, {"n2", "x"}}, "").text, "x, on all 3 ranks");
  EXPECT_EQ(judge_alike("build", {first}, "").text, "x");
  const auto differs = judge_alike("build", {first, first, {"n2", "y"}}, "install it again");
  EXPECT_EQ(differs.verdict, Verdict::kError);
  EXPECT_EQ(differs.text, "rank 0 (n1) has x; rank 2 (n2) has y");
  EXPECT_EQ(differs.advice, "install it again");
}

TEST(Preflight, TheWorstPlaceIsNamed) {
  const auto ok = Check::ok("direct I/O", "works");
  const auto odd = Check::warning("direct I/O", "refused", "so what");
  const auto bad = Check::error("direct I/O", ErrorCode::kIo, "EIO", "");
  EXPECT_EQ(judge_places({{"a", ok}}, "host").text, "works");
  EXPECT_EQ(judge_places({{"a", odd}}, "host").text, "refused");
  EXPECT_EQ(judge_places({{"a", ok}, {"b", ok}}, "host").text, "works, on all 2 hosts");
  EXPECT_EQ(judge_places({{"a", ok}, {"b", odd}, {"c", odd}}, "host").text,
            "b: refused; likewise on 1 other host");
  const auto worst = judge_places({{"a", odd}, {"b", ok}, {"c", bad}}, "host");
  EXPECT_EQ(worst.text, "c: EIO");
  EXPECT_EQ(exit_code(worst.code), 3);
}

TEST(Preflight, VersionsOfOpenMpiAreFoundInWhatItSays) {
  EXPECT_EQ(open_mpi_version("mpirun (Open MPI) 4.1.4\n\nReport bugs to ..."), "4.1.4");
  EXPECT_EQ(open_mpi_version("Open MPI v5.0.3, package: ..."), "5.0.3");
  EXPECT_EQ(open_mpi_version("lockstepd 0.1.0\nOpen MPI 4.1.4, LibTorch 2.15.0"), "4.1.4");
  EXPECT_EQ(open_mpi_version("HYDRA build details: Version: 4.0.2"), std::nullopt);
  EXPECT_EQ(open_mpi_version(""), std::nullopt);
}

TEST(Preflight, ALauncherOfAnotherOpenMpiIsAnError) {
  EXPECT_EQ(judge_launcher("4.1.4", "4.1.6", false, false).verdict, Verdict::kOk);
  EXPECT_EQ(judge_launcher("4.1.4", {}, true, false).verdict, Verdict::kOk);
  const auto other = judge_launcher("5.0.3", "4.1.4", true, true);
  EXPECT_EQ(other.verdict, Verdict::kError);
  EXPECT_THAT(other.text, HasSubstr("5.0.3"));
  EXPECT_EQ(judge_launcher({}, "4.1.4", true, true).text, "srun with PMIx");
  EXPECT_THAT(judge_launcher({}, "4.1.4", true, false).text, HasSubstr("no pmix"));
  EXPECT_EQ(judge_launcher({}, {}, false, false).verdict, Verdict::kWarning);
  EXPECT_THAT(judge_launcher("4.1.4", "4.1.4", true, false).text, Not(HasSubstr("srun")));
}

}  // namespace
}  // namespace lockstep
