#include "coordinator/status/store_observer.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <set>
#include <span>
#include <system_error>
#include <tuple>
#include <utility>

#include "common/error.h"
#include "coordinator/candidates.h"
#include "coordinator/catalog.h"
#include "coordinator/examine_all.h"
#include "coordinator/lineage.h"
#include "coordinator/lost_work.h"
#include "coordinator/pins.h"
#include "coordinator/status/curve_follower.h"

namespace lockstep {

namespace {

// What is shown of a checkpoint needs no list of tensors, which may be long.
Examined lean(Examined found) {
  if (!found.manifest) return found;
  found.manifest->tensors = {};
  found.manifest->shards = {};
  found.manifest->config = {};
  found.manifest->environment = {};
  return found;
}

CheckpointRow row_of(const CheckpointView& checkpoint, bool in_lineage) {
  const auto& found = *checkpoint.examined;
  CheckpointRow row;
  row.id = checkpoint.id;
  row.in_lineage = in_lineage;
  row.standing = standing_of(found, in_lineage);
  row.bytes = found.bytes;
  row.why = found.why;
  if (!found.manifest) return row;
  row.world_size = found.manifest->world_size;
  row.created = found.manifest->created;
  row.metrics = found.manifest->metrics;
  const auto& data = found.manifest->data;
  row.data = DataPlace{row.id.iteration, data.position, data.length};
  return row;
}

LineagePath path_of(const StoreView& store, std::optional<std::int64_t> attempt) {
  LineagePath path;
  std::optional<std::int64_t> until;
  while (attempt && store.attempt(*attempt) != nullptr && !path.contains(*attempt)) {
    path.emplace(*attempt, until);
    const auto parent = parent_of(*store.attempt(*attempt));
    attempt = parent ? std::optional(parent->attempt) : std::nullopt;
    until = parent ? std::optional(parent->iteration) : std::nullopt;
  }
  return path;
}

}  // namespace

struct StoreObserver::Impl {
  Impl(const FileSystem& given, std::string where, bool beside_training)
      : files(given), path(std::move(where)), follower(path, beside_training ? 1 : 64) {}

  std::shared_ptr<StorePicture> picture_of(double now_s) {
    auto view = scan_store(files, path, {}, before);
    if (!view.exists) throw Error(ErrorCode::kIo, path + ": the store is not there any more");
    before = view;
    examine_new(view);
    auto picture = std::make_shared<StorePicture>();
    picture->path = path;
    picture->seen_s = now_s;
    picture->id = view.id;
    picture->damaged = damaged_records(view);
    add_newest(view, *picture, now_s);
    const auto way = path_of(view, newest_attempt(view));
    add_attempts(view, *picture, way);
    add_checkpoints(view, *picture);
    picture->curves = follower.look(files, view, way);
    if (picture->newest) picture->lost_iterations = lost_before(view, *picture);
    std::error_code error;
    const auto space = std::filesystem::space(path, error);
    if (!error) picture->free_bytes = space.available;
    return picture;
  }

  // Sound ones never change; a few hundred at a time, since their manifests may be large.
  void examine_new(StoreView& view) {
    constexpr std::size_t kAtATime = 256;
    std::vector<CheckpointId> wanted;
    std::map<CheckpointId, Examined> still_there;
    for (auto& checkpoint : view.checkpoints) {
      const auto seen = known.find(checkpoint.id);
      if (seen == known.end() || seen->second.state == CheckpointState::kDamaged ||
          checkpoint.gone || checkpoint.trash) {
        wanted.push_back(checkpoint.id);
      } else {
        checkpoint.examined = seen->second;
        still_there.insert(*seen);
      }
    }
    known = std::move(still_there);
    for (std::size_t first = 0; first < wanted.size(); first += kAtATime) {
      const auto some = std::span(wanted).subspan(first, std::min(kAtATime, wanted.size() - first));
      for (const auto& id : examine_headers(files, path, view, some)) {
        auto& examined = view.checkpoint(id)->examined;
        examined = lean(std::move(*examined));
        known[id] = *examined;
      }
    }
    std::erase_if(view.checkpoints,
                  [](const CheckpointView& checkpoint) { return !checkpoint.examined; });
  }

  void add_newest(const StoreView& view, StorePicture& picture, double now_s) {
    const auto number = newest_attempt(view);
    if (!number) return;
    const auto& newest = *view.attempt(*number);
    picture.newest = newest;
    picture.next_save = next_save(newest);
    picture.iterations_per_second = average_rate(files, path, newest);
    if (newest.claim) picture.sight = look_for(newest.claim->process);
    picture.life = life_of(newest, picture.sight, now_s);
  }

  // Heartbeats are looked at a period apart, as liveness.h has it.
  Life life_of(const AttemptView& attempt, LocalSight sight, double now_s) {
    if (attempt.outcome) return Life::kDead;
    if (watched != attempt.number) {
      watched = attempt.number;
      beats.clear();
    }
    const double period_s = attempt.claim ? attempt.claim->heartbeat_seconds : kUsualPeriodSeconds;
    if (beats.empty() || now_s - beat_s >= period_s) {
      constexpr std::size_t kLooks = 4;
      beats.push_back(attempt.heartbeat);
      if (beats.size() > kLooks) beats.erase(beats.begin());
      beat_s = now_s;
    }
    const auto life = judge_life(sight, beats);
    // Nothing is decided here: a process that is seen is shown as alive until its heartbeat has
    // stood still for long enough.
    return life == Life::kUnsure && sight == LocalSight::kThere ? Life::kAlive : life;
  }

  std::optional<std::int64_t> lost_before(const StoreView& view,
                                          const StorePicture& picture) const {
    const auto& attempt = *picture.newest;
    const auto parent = parent_of(attempt);
    const auto* earlier = attempt_before(view, attempt.number);
    if (!parent || earlier == nullptr || run_of(*earlier) != run_of(attempt)) return std::nullopt;
    auto beat = heartbeat_of(earlier->number);
    if (!beat) return std::nullopt;
    for (const auto& one : picture.curves)
      if (one.attempt == earlier->number && one.curve->last)
        beat->iteration = std::max(beat->iteration, one.curve->last->iteration);
    const bool passed_over = attempt.decision && !attempt.decision->rejected.empty();
    return lost_iterations(*earlier, *beat, *parent, passed_over);
  }

  std::optional<Heartbeat> heartbeat_of(std::int64_t attempt) const {
    try {
      return parse_heartbeat(read_small_file(files, attempt_path(path, attempt) + "/heartbeat"));
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  // What watching a heartbeat has told, as if the process were seen.
  static LocalSight sight_of(Life life) {
    if (life == Life::kUnsure) return LocalSight::kElsewhere;
    return life == Life::kAlive ? LocalSight::kThere : LocalSight::kGone;
  }

  static void add_attempts(const StoreView& view, StorePicture& picture, const LineagePath& way) {
    for (const auto& attempt : view.attempts) {
      AttemptRow row;
      row.number = attempt.number;
      row.run = run_of(attempt);
      row.parent = parent_of(attempt);
      row.origin = origin_text(attempt);
      if (attempt.decision) row.source = attempt.decision->source;
      if (attempt.outcome) row.outcome = to_text(attempt.outcome->outcome);
      const bool newest = picture.newest && picture.newest->number == attempt.number;
      row.state = outcome_text(attempt, newest ? sight_of(picture.life) : LocalSight::kGone);
      row.in_lineage = way.contains(attempt.number);
      row.damage = attempt.damage;
      picture.attempts.push_back(std::move(row));
    }
  }

  void add_checkpoints(const StoreView& view, StorePicture& picture) const {
    const auto lineage = newest_lineage(view).checkpoints;
    const std::set<CheckpointId> in_lineage(lineage.begin(), lineage.end());
    const auto pins = read_pins(files, path);
    const auto best = best_of_newest(view);
    for (auto one = view.checkpoints.rbegin(); one != view.checkpoints.rend(); ++one) {
      auto row = row_of(*one, in_lineage.contains(one->id));
      row.pinned = pins.contains(row.id);
      row.best = best == row.id;
      if (!lineage.empty() && row.id == lineage.front()) picture.newest_checkpoint = row;
      picture.checkpoints.push_back(std::move(row));
    }
  }

  // What a page would fetch anew.
  void count_changes(StorePicture& picture) const {
    picture.lineage_revision = last ? last->lineage_revision : 1;
    picture.curves_revision = last ? last->curves_revision : 1;
    if (!last) return;
    if (!same_lineage(*last, picture)) ++picture.lineage_revision;
    const bool same_curves = std::ranges::equal(
        last->curves, picture.curves, [](const AttemptCurve& a, const AttemptCurve& b) {
          return std::tie(a.attempt, a.curve, a.in_lineage, a.until) ==
                 std::tie(b.attempt, b.curve, b.in_lineage, b.until);
        });
    if (!same_curves) ++picture.curves_revision;
  }

  static bool same_lineage(const StorePicture& a, const StorePicture& b) {
    const auto same_row = [](const CheckpointRow& x, const CheckpointRow& y) {
      return std::tie(x.id, x.standing, x.bytes, x.pinned, x.best, x.why) ==
             std::tie(y.id, y.standing, y.bytes, y.pinned, y.best, y.why);
    };
    const auto same_attempt = [](const AttemptRow& x, const AttemptRow& y) {
      return std::tie(x.number, x.state, x.in_lineage, x.damage, x.origin) ==
             std::tie(y.number, y.state, y.in_lineage, y.damage, y.origin);
    };
    return std::ranges::equal(a.checkpoints, b.checkpoints, same_row) &&
           std::ranges::equal(a.attempts, b.attempts, same_attempt);
  }

  const FileSystem& files;
  const std::string path;
  StoreView before;
  std::map<CheckpointId, Examined> known;
  CurveFollower follower;
  std::optional<std::int64_t> watched;  // the attempt whose heartbeats `beats` are
  std::vector<std::optional<Heartbeat>> beats;
  double beat_s = 0;
  std::shared_ptr<const StorePicture> last;
};

StoreObserver::StoreObserver(const FileSystem& files, std::string path, bool beside_training)
    : impl_(std::make_unique<Impl>(files, std::move(path), beside_training)) {}

StoreObserver::~StoreObserver() = default;

std::shared_ptr<const StorePicture> StoreObserver::look(double now_s) {
  std::shared_ptr<StorePicture> picture;
  try {
    picture = impl_->picture_of(now_s);
    impl_->count_changes(*picture);
  } catch (const std::exception& e) {
    picture = std::make_shared<StorePicture>(impl_->last ? *impl_->last : StorePicture{});
    picture->path = impl_->path;
    picture->unread = e.what();
  }
  impl_->last = picture;
  return picture;
}

}  // namespace lockstep
