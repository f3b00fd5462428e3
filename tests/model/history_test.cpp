// Random histories of one store: the real launch, commit, retention and records on a file system in
// memory, every answer compared with a reference that was written from DESIGN's text alone.
//
//   history_test                                      what CTest runs
//   LOCKSTEP_HISTORIES=100000 history_test            a long run, a few minutes on one core
//   LOCKSTEP_HISTORIES=1000 LOCKSTEP_HISTORY_FIRST=100001 history_test       other seeds
//   LOCKSTEP_HISTORY_SEED=17 history_test             that one history, told step by step
//   LOCKSTEP_HISTORY_PLACES=1 history_test            counts every place of a pause or a crash
//
// What it can't show: bytes on a real disk, real time, and what other ranks do.

#include "tests/model/history.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/model/mutants.h"

namespace lockstep::model {
namespace {

constexpr std::uint64_t kFirstSeed = 1;
constexpr std::uint64_t kHistories = 4'000;
constexpr std::uint64_t kMostForAMutant = 5'000;
constexpr std::size_t kMostDifferencesTold = 5;

std::optional<std::uint64_t> number_from(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  if (value == nullptr) return std::nullopt;
  return std::strtoull(value, nullptr, 10);
}

std::string lines(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& line : all)
    text += line + "\n";
  return text;
}

std::size_t kinds_of(const Counts& counts, const std::string& prefix) {
  std::size_t kinds = 0;
  for (const auto& [what, n] : counts.of)
    if (what.starts_with(prefix)) ++kinds;
  return kinds;
}

void print(const Counts& counts, bool all) {
  for (const auto& [what, n] : counts.of)
    if (all || !(what.starts_with("pauses: ") || what.starts_with("crashes: ")))
      std::printf("  %10lld %s\n", static_cast<long long>(n), what.c_str());
  std::printf("  %10zu places of pauses, %zu of crashes\n", kinds_of(counts, "pauses: "),
              kinds_of(counts, "crashes: "));
}

TEST(Histories, AreWhatTheReferenceSaysAndLoseNothing) {
  const auto one = number_from("LOCKSTEP_HISTORY_SEED");
  const auto first = one.value_or(number_from("LOCKSTEP_HISTORY_FIRST").value_or(kFirstSeed));
  const auto histories = one ? 1 : number_from("LOCKSTEP_HISTORIES").value_or(kHistories);
  Counts counts;
  std::size_t differing = 0;
  for (auto seed = first; seed < first + histories && differing < kMostDifferencesTold; ++seed) {
    const auto report = run_history(seed);
    counts.add(report.counts);
    if (one) std::printf("%s", lines(report.story).c_str());
    if (report.differences.empty()) continue;
    ++differing;
    ADD_FAILURE() << "LOCKSTEP_HISTORY_SEED=" << seed << "\n"
                  << lines(report.story) << lines(report.differences);
  }
  std::printf("histories: %llu, seeds from %llu, %zu differ\n",
              static_cast<unsigned long long>(histories), static_cast<unsigned long long>(first),
              differing);
  print(counts,
        std::getenv("LOCKSTEP_HISTORY_PLACES") != nullptr);  // NOLINT(concurrency-mt-unsafe)
}

TEST(Histories, AreTheSameFromTheSameSeed) {
  for (std::uint64_t seed = 1; seed < 50; ++seed)
    EXPECT_EQ(lines(run_history(seed).story), lines(run_history(seed).story));
}

TEST(Histories, TellEveryMutantFromTheRealOne) {
  for (const auto& mutant : mutants()) {
    auto seed = kFirstSeed;
    Report report;
    for (; seed < kFirstSeed + kMostForAMutant && report.differences.empty(); ++seed)
      report = run_history(seed, mutant.steps);
    EXPECT_FALSE(report.differences.empty()) << mutant.name << " was not noticed";
    std::printf("mutant: %s: noticed after %llu histories: %s\n", mutant.name.c_str(),
                static_cast<unsigned long long>(seed - kFirstSeed),
                report.differences.empty() ? "" : report.differences.front().c_str());
  }
}

}  // namespace
}  // namespace lockstep::model
