#include "coordinator/cli/job_sight.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "common/error.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/lineage.h"
#include "coordinator/liveness.h"
#include "coordinator/run_length.h"

namespace lockstep::cli {

namespace {

const AttemptView* newest_of(const StoreView& store) {
  const auto number = newest_attempt(store);
  return number ? store.attempt(*number) : nullptr;
}

// Whether its job is at work; says so where that takes a while.
bool watch_aloud(const FileSystem& files, const std::string& store, const AttemptView& attempt) {
  constexpr double kPeriods = 3;
  if (attempt.outcome) return false;
  const bool gone = attempt.claim && look_for(attempt.claim->process) == LocalSight::kGone;
  const double period_s = attempt.claim ? attempt.claim->heartbeat_seconds : kUsualPeriodSeconds;
  if (!gone)
    std::fprintf(stderr, "watching the heartbeat of attempt %lld, for up to %.3g s\n",
                 static_cast<long long>(attempt.number), kPeriods * period_s);
  ProgressBar bar("");
  const auto clock = clock_shown_on(bar, "watching its heartbeat", kPeriods * period_s);
  return watch(files, store, attempt, clock) == Life::kAlive;
}

}  // namespace

JobSight look_for_job(const FileSystem& files, const std::string& given) {
  JobSight sight;
  sight.store = open_store(files, given);
  if (const auto* attempt = newest_of(sight.store.view)) {
    sight.alive = watch_aloud(files, sight.store.path, *attempt);
    sight.store = open_store(files, given);  // what became of it while it was watched
  }
  sight.attempt = newest_of(sight.store.view);
  if (sight.attempt != nullptr && sight.attempt->outcome) sight.alive = false;
  return sight;
}

namespace {

// 0: not there, or it can't be read just now.
std::uint64_t iteration_of(const FileSystem& files, const std::string& folder) {
  constexpr std::uint64_t kMostBytes = 4096;
  try {
    const auto beat = parse_heartbeat(read_small_file(files, folder + "/heartbeat", kMostBytes));
    return beat ? static_cast<std::uint64_t>(std::max<std::int64_t>(beat->iteration, 0)) : 0;
  } catch (const Error&) {
    return 0;
  }
}

// Shows how far the job is while its end is waited for.
std::unique_ptr<ProgressBar> bar_of(const FileSystem& files, const JobSight& sight) {
  if (!sight.alive) return nullptr;
  const auto& attempt = *sight.attempt;
  const auto end = attempt.claim ? final_iteration(attempt.claim->config, {}) : std::nullopt;
  return std::make_unique<ProgressBar>(
      "attempt " + std::to_string(attempt.number) + ", iterations", Unit::kThings,
      static_cast<std::uint64_t>(std::max<std::int64_t>(end.value_or(0), 0)),
      iteration_of(files, attempt_path(sight.store.path, attempt.number)));
}

}  // namespace

void wait_for_end(const FileSystem& files, JobSight& sight) {
  constexpr int kLooksBetweenWatches = 10;
  const auto clock = steady_clock();
  auto bar = bar_of(files, sight);
  for (int looks = 1; sight.alive; ++looks) {
    const auto& attempt = *sight.attempt;
    clock.sleep(std::min(attempt.claim ? attempt.claim->heartbeat_seconds : 1.0, 1.0));
    const auto folder = attempt_path(sight.store.path, attempt.number);
    if (const auto iteration = iteration_of(files, folder); iteration > 0) bar->reach(iteration);
    const bool dead = looks % kLooksBetweenWatches == 0 &&
                      watch(files, sight.store.path, attempt, clock) == Life::kDead;
    if (!dead && !files.info(folder + "/outcome.json")) continue;
    bar.reset();
    sight = look_for_job(files, sight.store.path);
    bar = bar_of(files, sight);
  }
}

namespace {

// Of an attempt that is not alive and has no outcome. A launch takes over from it, whichever it is.
std::string crash_text(LocalSight sight) {
  switch (sight) {
    case LocalSight::kThere:
      return "suspended or hung: its process is there, but its heartbeat stands still";
    case LocalSight::kGone:
      return "crashed: it left no outcome, and its process is gone";
    case LocalSight::kElsewhere:
      break;
  }
  return "crashed: it left no outcome, and its heartbeat stands still";
}

}  // namespace

std::string state_text(const JobSight& sight) {
  return state_text(*sight.attempt, sight.alive);
}

std::string state_text(const AttemptView& attempt, bool alive) {
  if (alive) return "running";
  if (!attempt.outcome)
    return crash_text(attempt.claim ? look_for(attempt.claim->process) : LocalSight::kElsewhere);
  const auto& outcome = *attempt.outcome;
  return to_text(outcome.outcome) + ", exit code " + std::to_string(outcome.exit_code) +
         (outcome.error ? ": " + *outcome.error : "");
}

}  // namespace lockstep::cli
