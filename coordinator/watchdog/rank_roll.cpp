#include "coordinator/watchdog/rank_roll.h"

#include <algorithm>
#include <utility>

namespace lockstep {

std::string to_text(const Culprit& culprit) {
  return "rank " + std::to_string(culprit.rank) +
         (culprit.host.empty() ? "" : " (" + culprit.host + ")") + ": phase " +
         std::string(to_text(culprit.phase)) +
         (culprit.silent ? ", silent for " : ", no progress for ") +
         std::to_string(static_cast<long long>(culprit.seconds)) + " s";
}

RankRoll::RankRoll(std::vector<Entry> ranks, double now_s) {
  seen_.reserve(ranks.size());
  for (auto& who : ranks)
    seen_.push_back({std::move(who), ProgressJudge(now_s), std::nullopt, false});
}

void RankRoll::hear(std::size_t index, const RankStanding& standing, double now_s) {
  auto& seen = seen_[index];
  seen.heard_s = now_s;
  seen.progress.see(standing, now_s);
}

void RankRoll::leave(std::size_t index) {
  seen_[index].left = true;
}

bool RankRoll::all_left() const {
  return std::all_of(seen_.begin(), seen_.end(),
                     [](const Seen& seen) { return seen.left || !seen.heard_s; });
}

std::vector<RankSight> RankRoll::sights(double now_s) const {
  std::vector<RankSight> all;
  for (const auto& seen : seen_)
    all.push_back({.rank = seen.who.rank,
                   .host = seen.who.host,
                   .phase = seen.progress.standing().phase,
                   .work_s = 0,
                   .silent_s = seen.heard_s ? now_s - *seen.heard_s : 0,
                   .heard = seen.heard_s.has_value()});
  return all;
}

std::vector<Culprit> RankRoll::silent(double limit_s, double now_s) const {
  std::vector<Culprit> found;
  for (const auto& seen : seen_) {
    if (seen.left || !seen.heard_s) continue;
    const double silence = now_s - *seen.heard_s;
    if (silence > limit_s)
      found.push_back(
          {seen.who.rank, seen.who.host, seen.progress.standing().phase, true, silence});
  }
  return found;
}

std::vector<Culprit> RankRoll::stalled(const StallRule& rule, double iteration_seconds,
                                       double now_s) const {
  std::vector<const Seen*> still;
  for (const auto& seen : seen_) {
    if (seen.left || !seen.heard_s) continue;
    const auto limit = stall_limit_s(rule, seen.progress.standing().phase, iteration_seconds);
    if (seen.progress.still_s(now_s) <= limit) return {};
    still.push_back(&seen);
  }
  const auto keep = [&](auto&& blamed) {
    std::vector<const Seen*> some;
    std::copy_if(still.begin(), still.end(), std::back_inserter(some), blamed);
    if (!some.empty()) still = std::move(some);
  };
  keep([](const Seen* seen) { return seen->progress.standing().working; });
  const auto behind = std::min_element(still.begin(), still.end(), [](auto* a, auto* b) {
    return a->progress.standing().passed < b->progress.standing().passed;
  });
  if (behind == still.end()) return {};
  keep([least = (*behind)->progress.standing().passed](const Seen* seen) {
    return seen->progress.standing().passed == least;
  });
  std::vector<Culprit> found;
  for (const auto* seen : still)
    found.push_back({seen->who.rank, seen->who.host, seen->progress.standing().phase, false,
                     seen->progress.still_s(now_s)});
  return found;
}

std::vector<Culprit> RankRoll::judge(const StallRule& rule, double iteration_seconds,
                                     double now_s) const {
  auto found = silent(silence_limit_s(rule), now_s);
  return found.empty() ? stalled(rule, iteration_seconds, now_s) : found;
}

}  // namespace lockstep
