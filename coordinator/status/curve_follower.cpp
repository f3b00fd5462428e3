#include "coordinator/status/curve_follower.h"

#include <algorithm>
#include <span>

#include "common/names.h"
#include "coordinator/run_identity.h"

namespace lockstep {

std::vector<AttemptCurve> CurveFollower::look(const FileSystem& files, const StoreView& view,
                                              const LineagePath& path) {
  std::vector<AttemptCurve> curves;
  const auto skipped = view.attempts.size() - std::min(view.attempts.size(), kMostAttempts);
  for (const auto& attempt : std::span(view.attempts).subspan(skipped)) {
    const auto file = attempt_path(store_, attempt.number) + "/metrics.jsonl";
    auto& one =
        followed_.try_emplace(attempt.number, Followed{LineReader(file), {}, nullptr, false})
            .first->second;
    const bool ended = attempt.outcome || attempt.number < view.highest_attempt();
    if (!one.ended) follow(files, one, ended);
    if (one.made->points.empty() && one.made->evaluations.empty()) continue;
    const auto there = path.find(attempt.number);
    curves.push_back({attempt.number, run_of(attempt), there != path.end(),
                      there != path.end() ? there->second : std::nullopt, one.made});
  }
  return curves;
}

// The rest of a long one comes with the next looks.
void CurveFollower::follow(const FileSystem& files, Followed& one, bool ended) const {
  bool changed = one.made == nullptr;
  bool whole = true;
  for (int i = 0; i < pieces_ && whole && (i == 0 || one.reader.has_more()); ++i)
    whole = one.reader.look(files, [&](std::string_view line) {
      one.maker.add(line);
      changed = true;
    });
  if (!whole) one.maker = CurveMaker();
  if (changed || !whole) one.made = std::make_shared<const Curve>(one.maker.curve());
  one.ended = ended && whole && !one.reader.has_more();
}

}  // namespace lockstep
