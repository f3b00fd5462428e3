#include "coordinator/status/job_board.h"

#include <algorithm>
#include <utility>

namespace lockstep {

void SecondsHistogram::add(double seconds) {
  const auto bound = std::ranges::lower_bound(kBounds, seconds);
  ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
  sum += seconds;
}

std::uint64_t SecondsHistogram::count() const {
  std::uint64_t all = 0;
  for (const auto some : counts)
    all += some;
  return all;
}

void JobBoard::iteration(const Pace& given, double now_s) {
  constexpr double kWeight = 0.05;  // of the newest in the mean
  const auto took_s = last_at_s_ ? now_s - *last_at_s_ : given.seconds;
  last_at_s_ = now_s;
  const auto mean_s =
      sums_.seconds > 0 ? sums_.seconds + kWeight * (took_s - sums_.seconds) : took_s;
  const auto made = sums_.iterations_made + 1;
  const auto samples = sums_.samples_made + given.samples_made;
  sums_ = given;
  sums_.iterations_made = made;
  sums_.samples_made = samples;
  sums_.seconds = mean_s;
  sums_.samples_per_second = mean_s > 0 ? static_cast<double>(given.samples_made) / mean_s : 0;
  pace_.offer(std::make_shared<const Pace>(sums_));
  if (waits_) publish();
}

void JobBoard::interval(const Interval& interval) {
  slow_.spent += interval.spent;
  slow_.last_spent = interval.spent;
  publish();
}

void JobBoard::evaluation(const Evaluation& evaluation) {
  slow_.evaluation = {evaluation.iteration, evaluation.metrics};
  publish();
}

void JobBoard::save_began(std::int64_t iteration) {
  slow_.saves.under_way = iteration;
  publish();
}

void JobBoard::save_ended(const SaveFact& save, double now_s) {
  auto& saves = slow_.saves;
  saves.under_way.reset();
  ++saves.committed;
  saves.seconds.add(save.seconds);
  saves.held_s.add(save.held_s);
  saves.last_at_s = now_s;
  saves.recent.push_back(save);
  if (saves.recent.size() > SaveFigures::kMostRecent) saves.recent.pop_front();
  publish();
}

void JobBoard::save_failed() {
  slow_.saves.under_way.reset();
  ++slow_.saves.failed;
  publish();
}

void JobBoard::ended() {
  pace_.put(sums_.iterations_made > 0 ? std::make_shared<const Pace>(sums_) : nullptr);
  published_.put(std::make_shared<const Slow>(slow_));
  ended_ = true;
}

void JobBoard::ranks(std::vector<RankSight> ranks) {
  ranks_.put(std::make_shared<const std::vector<RankSight>>(std::move(ranks)));
}

void JobBoard::publish() {
  waits_ = !published_.offer(std::make_shared<const Slow>(slow_));
}

JobFigures JobBoard::figures(double now_s) const {
  JobFigures figures;
  figures.phase = board_.standing().phase;
  if (const auto pace = pace_.get()) figures.pace = *pace;
  if (const auto slow = published_.get()) {
    figures.spent = slow->spent;
    figures.last_spent = slow->last_spent;
    figures.evaluation = slow->evaluation;
    figures.saves = slow->saves;
  }
  if (const auto ranks = ranks_.get()) figures.ranks = *ranks;
  if (const auto deadline_s = deadline_s_.load(); deadline_s > 0)
    figures.seconds_left = deadline_s - now_s;
  figures.ended = ended_;
  return figures;
}

}  // namespace lockstep
