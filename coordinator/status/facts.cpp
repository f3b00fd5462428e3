#include "coordinator/status/facts.h"

#include <algorithm>
#include <cmath>

#include "coordinator/amounts.h"
#include "coordinator/run_length.h"

namespace lockstep {

namespace {

// Values that are not finite are none: neither JSON nor a reader knows what to do with them.
std::optional<double> finite(std::optional<double> value) {
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<double> positive(double value) {
  return value > 0 ? finite(value) : std::nullopt;
}

std::string state_of(const StatusPicture& picture) {
  if (picture.job && !picture.job->ended) {
    if (picture.job->phase == Phase::kEnd) return "ending";
    return picture.job->pace || picture.job->phase >= Phase::kTrain ? "running" : "starting";
  }
  const auto& store = *picture.store;
  if (!store.newest) return "none";
  if (store.newest->outcome) return to_text(store.newest->outcome->outcome);
  if (store.life == Life::kAlive) return "running";
  return store.life == Life::kUnsure ? "watching" : "crashed";
}

std::string text_of_state(const std::string& state, const StorePicture& store) {
  const bool of_outcome =
      store.newest && store.newest->outcome && to_text(store.newest->outcome->outcome) == state;
  if (of_outcome) return state + ", exit code " + std::to_string(store.newest->outcome->exit_code);
  if (state == "none") return "no attempt yet";
  if (state == "watching") return "its heartbeat is watched, to see whether it is alive";
  if (state != "crashed") return state;
  if (store.sight == LocalSight::kThere)
    return "suspended or hung: its process is there, but its heartbeat stands still";
  return store.sight == LocalSight::kGone
             ? "crashed: it left no outcome, and its process is gone"
             : "crashed: it left no outcome, and its heartbeat stands still";
}

const Curve* curve_of(const StorePicture& store) {
  for (const auto& one : store.curves)
    if (store.newest && one.attempt == store.newest->number) return one.curve.get();
  return nullptr;
}

std::optional<std::int64_t> configured_end(const StorePicture& store) {
  const auto& claim = store.newest->claim;
  if (!claim) return std::nullopt;
  const auto& newest = store.newest_checkpoint;
  return final_iteration(claim->config, newest ? newest->data : std::nullopt);
}

void take(const Pace& pace, Facts& facts) {
  facts.iteration = pace.iteration;
  facts.final_iteration = pace.final_iteration;
  facts.position = pace.position;
  facts.iterations_made = pace.iterations_made;
  facts.samples_made = pace.samples_made;
  facts.iterations_per_second = pace.seconds > 0 ? positive(1 / pace.seconds) : std::nullopt;
  facts.samples_per_second = positive(pace.samples_per_second);
  facts.loss = finite(pace.loss);
  facts.accuracy = finite(pace.accuracy);
  facts.gradient_norm = finite(pace.gradient_norm);
  facts.learning_rate = finite(pace.learning_rate);
}

void take(const Curve& curve, Facts& facts) {
  facts.evaluation = curve.last_evaluation;
  if (!curve.last) return;
  const auto& last = *curve.last;
  // A job that was killed had come further than its last heartbeat said.
  facts.iteration = std::max(facts.iteration.value_or(0), last.iteration);
  facts.iterations_made = std::max<std::int64_t>(0, *facts.iteration - facts.start_iteration);
  facts.position = last.position;
  if (last.seconds > 0 && last.iterations > 0)
    facts.iterations_per_second = static_cast<double>(last.iterations) / last.seconds;
  facts.samples_per_second = last.samples_per_second;
  facts.loss = last.loss;
  facts.accuracy = last.accuracy;
  facts.gradient_norm = last.gradient_norm;
  facts.learning_rate = last.learning_rate;
  facts.last_spent_s = last.spent_s;
}

void take(const StorePicture& store, Facts& facts) {
  facts.iterations_per_second = store.iterations_per_second;
  if (!store.newest) return;
  const auto& attempt = *store.newest;
  facts.start_iteration = start_iteration(attempt);
  facts.final_iteration = configured_end(store);
  if (const auto& beat = attempt.heartbeat) {
    facts.iteration = beat->iteration;
    facts.iterations_made = std::max<std::int64_t>(0, beat->iteration - facts.start_iteration);
    facts.last_committed = beat->last_committed;
  }
  if (attempt.outcome && attempt.outcome->last_committed_iteration)
    facts.last_committed = attempt.outcome->last_committed_iteration;
  if (const auto* curve = curve_of(store)) take(*curve, facts);
}

void take(const JobFigures& job, Facts& facts) {
  if (job.pace) take(*job.pace, facts);
  if (job.evaluation) facts.evaluation = {job.evaluation->first, job.evaluation->second};
  if (!job.saves.recent.empty()) facts.last_committed = job.saves.recent.back().iteration;
  if (facts.last_spent_s.empty())
    for_each_part(job.last_spent,
                  [&](const char* name, double seconds) { facts.last_spent_s[name] = seconds; });
}

// By the job's own clock where it has saved, else by the time in the manifest.
std::optional<double> durable_age_s(const StatusPicture& picture) {
  if (picture.job && picture.job->saves.last_at_s)
    return picture.now_s - *picture.job->saves.last_at_s;
  const auto& newest = picture.store->newest_checkpoint;
  const auto at = newest && newest->created ? parse_utc(*newest->created) : std::nullopt;
  if (!at) return std::nullopt;
  return std::max(0.0, picture.wall_s - static_cast<double>(*at));
}

}  // namespace

Facts facts_of(const StatusPicture& picture) {
  Facts facts;
  take(*picture.store, facts);
  if (picture.job) take(*picture.job, facts);
  facts.state = state_of(picture);
  facts.state_text = text_of_state(facts.state, *picture.store);
  facts.alive = facts.state == "running" || facts.state == "starting" || facts.state == "ending";
  facts.durable_age_s = durable_age_s(picture);
  if (!facts.alive) {  // what was a rate is none
    facts.iterations_per_second.reset();
    facts.samples_per_second.reset();
  }
  if (facts.alive && facts.iteration && facts.final_iteration && facts.iterations_per_second)
    facts.eta_s =
        static_cast<double>(std::max<std::int64_t>(0, *facts.final_iteration - *facts.iteration)) /
        *facts.iterations_per_second;
  return facts;
}

std::optional<std::string> store_trouble(const StatusPicture& picture) {
  constexpr double kPatienceSeconds = 15;
  if (!picture.store->unread.empty()) return picture.store->unread;
  if (picture.look_s < kPatienceSeconds) return std::nullopt;
  return picture.store->path + ": its file system has not answered for " +
         duration_text(picture.look_s);
}

RankLags lags_of(const std::vector<RankSight>& ranks) {
  RankLags lags;
  std::vector<double> work;
  for (const auto& rank : ranks) {
    lags.heard += rank.heard ? 1 : 0;
    if (rank.work_s > 0) work.push_back(rank.work_s);
  }
  std::ranges::sort(work);
  if (!work.empty()) lags.median_work_s = work[(work.size() - 1) / 2];
  for (const auto& rank : ranks)
    lags.slowest_first.push_back({rank, std::max(0.0, rank.work_s - lags.median_work_s)});
  std::ranges::stable_sort(lags.slowest_first, [](const auto& a, const auto& b) {
    return a.rank.work_s > b.rank.work_s;
  });
  return lags;
}

}  // namespace lockstep
