#include "coordinator/prune.h"

#include <algorithm>

#include "common/error.h"
#include "common/retries.h"
#include "coordinator/attempt.h"
#include "coordinator/best.h"
#include "coordinator/candidates.h"
#include "coordinator/catalog.h"
#include "coordinator/examine.h"
#include "coordinator/lineage.h"
#include "coordinator/pins.h"
#include "coordinator/retention.h"

namespace lockstep {

namespace {

void require_metric(const StoreView& store, const NewestLineage& newest, const KeepBest& rule) {
  std::set<std::string> there;
  for (const auto& id : newest.checkpoints) {
    const auto& view = *store.checkpoint(id);
    if (metric_of(view, rule)) return;
    if (view.examined && view.examined->manifest)
      for (const auto& [name, value] : view.examined->manifest->metrics)
        there.insert(name);
  }
  const std::vector<std::string> names(there.begin(), there.end());
  throw Error(ErrorCode::kInvalidConfig,
              "--keep-best: no good checkpoint of the newest lineage has the metric '" +
                  rule.metric + "'; " +
                  (names.empty() ? "none has any" : "there is " + enumerate(names)));
}

bool hides_its_parent(const AttemptView& attempt) {
  const auto is_decision = [](const std::string& text) {
    return text.starts_with("decision.json");
  };
  return !is_refused(attempt) && parent_unknown(attempt) &&
         std::any_of(attempt.damage.begin(), attempt.damage.end(), is_decision);
}

// Ancestors behind an attempt whose parent is not known would count as abandoned.
void require_known_parents(const StoreView& store, const NewestLineage& newest) {
  auto judged = newest.passed_over;
  for (auto at = newest.attempt; at;) {
    judged.push_back(*at);
    const auto* view = store.attempt(*at);
    const auto parent = view != nullptr ? parent_of(*view) : std::nullopt;
    at = parent ? std::optional(parent->attempt) : std::nullopt;
  }
  for (const auto number : judged) {
    const auto* attempt = store.attempt(number);
    if (attempt == nullptr || !hides_its_parent(*attempt)) continue;
    throw Error(ErrorCode::kInvalidConfig,
                "--abandoned: the decision.json of attempt " + std::to_string(number) +
                    " is damaged, so it can't be said what it descends from, nor what is "
                    "abandoned; pin what must stay and delete the rest by hand");
  }
}

// Where the newest lineage holds nothing sound, what is outside of it may be all that is left.
void require_another(const StoreView& store, const std::vector<Deletion>& chosen) {
  const auto newest = newest_lineage(store);
  const auto& line = newest.checkpoints;
  const auto is_outside = [&](const Deletion& deletion) {
    return std::ranges::find(line, deletion.checkpoint) == line.end();
  };
  const auto is_good = [&](const CheckpointId& id) {
    const auto& examined = store.checkpoint(id)->examined;
    return examined && examined->state == CheckpointState::kGood;
  };
  if (std::ranges::none_of(chosen, is_outside) || std::ranges::any_of(line, is_good)) return;
  throw Error(ErrorCode::kInvalidConfig,
              "--abandoned: attempt " + std::to_string(newest.attempt.value_or(0)) +
                  "'s lineage holds no good checkpoint, so what is abandoned may be all that is "
                  "left; pin what must stay (lockstep pin), or train on from it first");
}

[[noreturn]] void throw_begun() {
  throw Error(ErrorCode::kInUse, "a job has begun on this store: nothing more is deleted");
}

}  // namespace

std::vector<Deletion> choose_pruned(const StoreView& store, const PruneRequest& request,
                                    const std::set<CheckpointId>& pins) {
  const auto newest = newest_lineage(store);
  std::vector<Deletion> gone;
  if (request.rule) {
    if (request.rule->keep_best && !newest.checkpoints.empty())
      require_metric(store, newest, *request.rule->keep_best);
    gone = choose_deletions(store, newest.checkpoints, *request.rule, pins);
  }
  if (!request.abandoned) return gone;
  require_known_parents(store, newest);
  const std::set<CheckpointId> reached(newest.checkpoints.begin(), newest.checkpoints.end());
  for (auto it = store.checkpoints.rbegin(); it != store.checkpoints.rend(); ++it)
    if (!reached.contains(it->id) && !pins.contains(it->id))
      gone.push_back({it->id, "abandoned: not in attempt " +
                                  std::to_string(newest.attempt.value_or(0)) + "'s lineage"});
  return gone;
}

std::vector<Deletion> look_at_pruned(const FileSystem& files, const std::string& store,
                                     StoreView& view, const PruneRequest& request) {
  // Newest first. What others go for must be good to its last byte: retention's was written by the
  // job that deletes, but this may be years old.
  bool sound = false;
  const auto& progress = request.progress;
  auto left = newest_lineage(view).checkpoints;
  std::erase_if(left,
                [&](const CheckpointId& id) { return view.checkpoint(id)->examined.has_value(); });
  for (std::size_t i = 0; i < left.size() && (request.rule || !sound); ++i) {
    auto* checkpoint = view.checkpoint(left[i]);
    const auto depth = sound ? Depth::kHeaders : Depth::kBytes;
    checkpoint->examined = examine(files, store, *checkpoint, depth, progress);
    if (!sound && progress.on_count) progress.on_count(left.size() - i - 1);
    if (sound && progress.on_opened) progress.on_opened();
    sound = sound || checkpoint->examined->state == CheckpointState::kGood;
  }
  const auto chosen = choose_pruned(view, request, read_pins(files, store));
  require_another(view, chosen);
  return chosen;
}

void delete_pruned(FileSystem& files, const std::string& store, const StoreView& view,
                   const std::vector<Deletion>& chosen,
                   const std::function<void(const Deletion&)>& deleted) {
  const auto deleter = view.highest_attempt();
  try {
    // The oldest first, as a job's own retention: whoever is cut short leaves the newer ones.
    for (auto one = chosen.rbegin(); one != chosen.rend(); ++one) {
      // Before the rename too: one that is killed behind it can't take it back.
      require_newest(files, store, deleter);
      if (delete_unpinned(files, store, deleter, *view.checkpoint(one->checkpoint))) deleted(*one);
    }
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kSuperseded) throw;
    throw_begun();
  }
}

StoreView look_when_idle(const FileSystem& files, const std::string& store, const Clock& clock,
                         const std::function<void(const std::string&)>& say,
                         const ReadProgress& progress) {
  auto view = scan_store(files, store, {}, {}, Claims::kAll, progress);
  const auto newest = newest_attempt(view);
  if (!newest) return view;
  const auto& attempt = *view.attempt(*newest);
  const auto folder = with_retries([&] { return files.info(attempt_path(store, *newest)); });
  if (attempt.outcome || !folder || folder->kind != EntryKind::kFolder) return view;
  if (!attempt.claim || look_for(attempt.claim->process) != LocalSight::kGone)
    say("watching the heartbeat of attempt " + std::to_string(*newest) + ", for up to 3 periods");
  if (watch(files, store, attempt, clock) != Life::kDead)
    throw Error(ErrorCode::kInUse,
                "in use: " + react_to(attempt, {}).text +
                    "; wait for its end, or stop it (lockstep stop " + store +
                    "). A job deletes by itself what its checkpoint section does not keep");
  auto now = scan_store(files, store, {}, {}, Claims::kAll, progress);
  if (now.highest_attempt() != view.highest_attempt()) throw_begun();
  return now;
}

std::uint64_t bytes_of(const FileSystem& files, const std::string& store,
                       const CheckpointView& checkpoint) {
  const auto folder = folder_of(store, checkpoint);
  std::uint64_t bytes = 0;
  for (const auto& entry : files.list(folder))
    if (const auto info = files.info(folder + "/" + entry.name)) bytes += info->bytes;
  return bytes;
}

}  // namespace lockstep
