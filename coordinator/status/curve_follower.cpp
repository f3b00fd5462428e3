#include "coordinator/status/curve_follower.h"

#include <algorithm>
#include <span>

#include "common/names.h"
#include "coordinator/run_identity.h"

namespace lockstep {

bool CurveReader::look(const FileSystem& files, int pieces) {
  bool changed = false;
  whole_ = true;
  for (int i = 0; i < pieces && whole_ && (i == 0 || lines_.has_more()); ++i)
    whole_ = lines_.look(files, [&](std::string_view line) {
      maker_.add(line);
      changed = true;
    });
  if (!whole_) maker_ = CurveMaker();
  return changed || !whole_;
}

std::vector<AttemptCurve> CurveFollower::look(const FileSystem& files, const StoreView& view,
                                              const LineagePath& path) {
  std::vector<AttemptCurve> curves;
  const auto skipped = view.attempts.size() - std::min(view.attempts.size(), kMostAttempts);
  for (const auto& attempt : std::span(view.attempts).subspan(skipped)) {
    const auto file = attempt_path(store_, attempt.number) + "/metrics.jsonl";
    auto& one = followed_.try_emplace(attempt.number, Followed{CurveReader(file), nullptr, false})
                    .first->second;
    const bool ended = attempt.outcome || attempt.number < view.highest_attempt();
    if (!one.ended) {  // the rest of a long one comes with the next looks
      if (one.reader.look(files, pieces_) || one.made == nullptr)
        one.made = std::make_shared<const Curve>(one.reader.made().curve());
      one.ended = ended && one.reader.is_whole();
    }
    if (one.made->points.empty() && one.made->evaluations.empty()) continue;
    const auto there = path.find(attempt.number);
    curves.push_back({attempt.number, run_of(attempt), there != path.end(),
                      there != path.end() ? there->second : std::nullopt, one.made});
  }
  return curves;
}

}  // namespace lockstep
