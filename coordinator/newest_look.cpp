#include "coordinator/newest_look.h"

#include <algorithm>

#include "common/error.h"
#include "common/names.h"
#include "common/retries.h"
#include "coordinator/lineage.h"

namespace lockstep {

// true: it has ended.
bool NewestLook::wait_for_end(const AttemptView& attempt, double wait_seconds) const {
  const auto outcome = attempt_path(launch_.store_path, attempt.number) + "/outcome.json";
  const auto has_ended = [&] {
    return with_retries([&] { return files_.info(outcome); }).has_value();
  };
  const double period_s = attempt.claim ? attempt.claim->heartbeat_seconds : 1.0;
  const double end_s = clock_.now_s() + wait_seconds;
  while (clock_.now_s() < end_s) {
    if (has_ended()) return true;
    if (attempt.claim && look_for(attempt.claim->process) == LocalSight::kGone) return true;
    clock_.sleep(std::min(period_s, std::max(0.0, end_s - clock_.now_s())));
  }
  return has_ended();
}

bool NewestLook::is_free(const StoreView& store) {
  const auto newest = newest_attempt(store);
  if (!newest || *newest == taken_over_) return true;
  const auto& attempt = *store.attempt(*newest);
  if (*newest == waited_for_ && attempt.outcome &&
      attempt.outcome->outcome == OutcomeKind::kStopped)
    throw StoppedOnRequest{*newest};
  // A number that only checkpoints carry has no folder, and nobody at work in it.
  const auto folder =
      with_retries([&] { return files_.info(attempt_path(launch_.store_path, *newest)); });
  if (attempt.outcome || !folder || folder->kind != EntryKind::kFolder) return true;
  if (watch(files_, launch_.store_path, attempt, clock_, launch_.heartbeat_seconds) ==
      Life::kDead) {
    taken_over_ = *newest;
    return false;
  }
  if (!attempt.claim && attempt.damage.empty()) return false;  // its claim was not yet written
  const auto reaction = react_to(attempt, launch_.run);
  if (reaction.wait_seconds > 0 && options_.wait_for_outcome) {
    say_(reaction.text + "; waiting for its end, at most " +
         std::to_string(static_cast<std::int64_t>(reaction.wait_seconds)) + " s");
    waited_for_ = *newest;
    if (wait_for_end(attempt, reaction.wait_seconds)) return false;
  }
  if (reaction.takes_over) {
    say_(reaction.text + "; it is an earlier launch of this job: taking over");
    taken_over_ = *newest;
    return false;
  }
  throw Error(reaction.code, "in use: " + reaction.text +
                                 "; wait for its end, stop it (lockstep stop " +
                                 launch_.store_path + "), or name another store");
}

}  // namespace lockstep
