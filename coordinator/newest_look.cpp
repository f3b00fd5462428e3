#include "coordinator/newest_look.h"

#include <algorithm>

#include "common/error.h"
#include "common/names.h"
#include "common/retries.h"
#include "coordinator/lineage.h"

namespace lockstep {

// Its heartbeat is followed meanwhile: it may die, too. Who would be an error at the end of the
// time is waited for until it is clear that it is alive then, three periods more at most.
NewestLook::End NewestLook::wait_for_end(const AttemptView& attempt,
                                         const Reaction& reaction) const {
  const double period_s = attempt.claim ? attempt.claim->heartbeat_seconds : 1.0;
  const double end_s = clock_.now_s() + reaction.wait_seconds;
  HeartbeatWatch heartbeat(files_, launch_.store_path, attempt);
  for (;;) {
    if (has_outcome(files_, launch_.store_path, attempt.number)) return End::kOutcome;
    const auto life = heartbeat.look();
    if (life == Life::kDead) return End::kDead;
    const double left_s = end_s - clock_.now_s();
    if (left_s <= 0 && (life == Life::kAlive || reaction.takes_over)) return End::kStillAlive;
    clock_.sleep(reaction.takes_over ? std::min(period_s, left_s) : period_s);
  }
}

bool NewestLook::is_free(const StoreView& store) {
  const auto newest = newest_attempt(store);
  if (!newest) return true;
  const auto& attempt = *store.attempt(*newest);
  if (*newest == waited_for_ && attempt.outcome &&
      attempt.outcome->outcome == OutcomeKind::kStopped)
    throw StoppedOnRequest{*newest};
  if (*newest == taken_over_) return true;
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
    const auto end = wait_for_end(attempt, reaction);
    if (end == End::kDead) taken_over_ = *newest;
    if (end != End::kStillAlive) return false;
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
