#include "coordinator/launch.h"

#include <algorithm>
#include <utility>

#include "common/digest.h"
#include "common/error.h"
#include "common/open_shard.h"
#include "common/retries.h"
#include "coordinator/attempt.h"
#include "coordinator/retention.h"
#include "coordinator/source.h"

namespace lockstep {

std::optional<double> expected_save_seconds(const Decided& decided) {
  const auto& chosen = decided.ruling.chosen;
  if (!chosen || chosen->in_source) return std::nullopt;
  const auto* from = decided.store.attempt(chosen->id.attempt);
  if (from == nullptr || !from->outcome) return std::nullopt;
  return from->outcome->save_seconds;
}

Examined& Decided::chosen() {
  if (!ruling.chosen) throw Error(ErrorCode::kInternal, "no checkpoint was chosen");
  auto* view = (ruling.chosen->in_source ? source->store : store).checkpoint(ruling.chosen->id);
  if (view == nullptr || !view->examined)
    throw Error(ErrorCode::kInternal, "a checkpoint was chosen that was not examined");
  return *view->examined;
}

LaunchFacts facts_of(const LoadedConfig& loaded, const Environment& environment) {
  const auto& config = loaded.config;
  LaunchFacts launch;
  launch.request = config.restore;
  launch.request_is_set = loaded.restore_is_set;
  launch.run = identify_run(config.run.id, environment, "run-" + random_hex(8));
  launch.max_iterations = config.run.max_iterations;
  launch.max_epochs = config.run.max_epochs;
  launch.keep_best = config.checkpoint.keep_best;
  launch.heartbeat_seconds = config.watchdog.heartbeat_seconds;
  launch.store_path = loaded.paths.store;
  launch.from_path = loaded.paths.from;
  launch.config = canonical_json(config);
  launch.config_digest = digest128(launch.config);
  return launch;
}

namespace {

// Whether a checkpoint that was found damaged is no longer where the scan saw it: its attempt was
// taken for dead, is awake again, and renames or deletes it just now. Then nothing is proven.
bool has_moved(const FileSystem& files, const std::string& store,
               const CheckpointView& checkpoint) {
  const auto folder = folder_of(store, checkpoint);
  return !files.info(checkpoint.trash ? folder + "/manifest.json" : folder);
}

// Takes over what loads have proven: a scan alone does not see it.
void keep_damage(StoreView& store, const StoreView& before) {
  for (const auto& old : before.checkpoints)
    if (auto* view = store.checkpoint(old.id);
        view != nullptr && old.examined && old.examined->state == CheckpointState::kDamaged)
      view->examined = old.examined;
}

// Whether a source of the own store shows what the scan did not see: another job makes the store,
// or commits, just now.
bool shows_more(const SourceView& source, const StoreView& store) {
  if (!source.store.id) return false;
  if (!store.id) return true;  // the source may be the own store, made since
  return source.store.id == store.id &&
         std::ranges::any_of(source.store.checkpoints, [&](const CheckpointView& c) {
           return store.checkpoint(c.id) == nullptr;
         });
}

// Whether restore.from names a checkpoint's folder that the scan of the own store saw.
bool was_seen(const StoreView& store, const LaunchFacts& launch) {
  return std::ranges::any_of(store.checkpoints, [&](const CheckpointView& c) {
    return !c.gone && folder_of(launch.store_path, c) == *launch.from_path;
  });
}

// Reads what restore.from names, or reads it anew where a job there has changed it. false: it is of
// the own store and differs from the scan, which came before it: the two together would be the
// store as it never was.
bool look_at_from(const FileSystem& files, const LaunchFacts& launch, const Clock& clock,
                  Decided& decided) {
  const auto before = std::exchange(decided.source, std::nullopt);
  try {
    decided.source = read_source(files, *launch.from_path, clock);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kNotFound && was_seen(decided.store, launch)) return false;
    throw;
  }
  auto& now = decided.source->store;
  if (before && before->store.id == now.id) keep_damage(now, before->store);
  return !shows_more(*decided.source, decided.store);
}

// How checkpoints are opened for a decision.
struct Reading {
  const Clock& clock;
  Depth depth = Depth::kHeaders;
  ReadProgress progress = {};
};

// Opens a checkpoint of what restore.from names. false: it has changed since it was read.
bool look_at_source(const FileSystem& files, const LaunchFacts& launch, const Reading& reading,
                    CheckpointView& view, Decided& decided) {
  auto found = examine(files, *decided.source, view, reading.depth, reading.progress);
  if (found.state == CheckpointState::kDamaged && has_moved(files, *decided.source, view)) {
    look_at_from(files, launch, reading.clock, decided);
    return false;
  }
  view.examined = std::move(found);
  return true;
}

// Opens a checkpoint for the policy. false: the store has changed since it was scanned.
bool look_at(const FileSystem& files, const LaunchFacts& launch, const Reading& reading,
             const Chosen& wanted, Decided& decided) {
  auto* view = (wanted.in_source ? decided.source->store : decided.store).checkpoint(wanted.id);
  if (view == nullptr || view->examined)
    throw Error(ErrorCode::kInternal, "the policy asks for a checkpoint that it has");
  if (wanted.in_source) return look_at_source(files, launch, reading, *view, decided);
  view->examined = examine(files, launch.store_path, *view, reading.depth, reading.progress);
  return view->examined->state != CheckpointState::kDamaged ||
         !has_moved(files, launch.store_path, *view);
}

// Opens what the policy asks for until it has ruled. false: the store has changed since it was
// scanned.
bool try_decide(const FileSystem& files, const LaunchFacts& launch, const Reading& reading,
                Decided& decided) {
  for (;;) {
    decided.ruling = rule(decided.store, launch, decided.source ? &*decided.source : nullptr);
    decided.ruling.record.verified_bytes = reading.depth == Depth::kBytes;
    if (decided.ruling.settled()) return true;
    if (decided.ruling.read_source) {
      if (decided.source || !launch.from_path)
        throw Error(ErrorCode::kInternal, "the policy asks for a source that it has");
      if (!look_at_from(files, launch, reading.clock, decided)) return false;
    } else if (!look_at(files, launch, reading, *decided.ruling.examine, decided)) {
      return false;
    }
  }
}

constexpr int kScans = 10;

[[noreturn]] void throw_restless(const LaunchFacts& launch) {
  const auto from = launch.from_path ? ", or " + *launch.from_path + "," : std::string();
  throw Error(ErrorCode::kIo, "the store " + launch.store_path + from +
                                  " changes while it is read: is another job at work on it?");
}

// Scans again as often as the store changes under the decision, within reason. `source`: as an
// earlier decision read it.
Decided decide_by(const FileSystem& files, const LaunchFacts& launch, const Reading& reading,
                  const std::function<StoreView()>& scan, std::optional<SourceView> source = {}) {
  Decided decided{{}, {}, std::move(source)};
  for (int i = 0; i < kScans; ++i) {
    decided.store = scan();
    if (try_decide(files, launch, reading, decided)) return decided;
  }
  throw_restless(launch);
}

// What a scan goes by; scan_store's.
struct ScanBy {
  std::optional<std::int64_t> own = {};
  const StoreView& before;
  const ReadProgress& progress;
};

// `before_each`: what makes its listings fresh.
StoreView scan_patiently(const FileSystem& files, const LaunchFacts& launch, const Clock& clock,
                         const ScanBy& by, const std::function<void()>& before_each) {
  // Restart counts, which tell apart what a Slurm job's id has named, are in claims alone.
  const auto claims = launch.run.from_slurm ? Claims::kAll : Claims::kOfOpenEnds;
  return scan_patiently(files, launch.store_path, clock, [&] {
    before_each();
    return scan_store(files, launch.store_path, by.own, by.before, claims, by.progress);
  });
}

// A store is never another, nor gone, at a later scan; a fresh start would be decided then.
void require_same_store(const LaunchFacts& launch, const std::optional<std::string>& known,
                        const StoreView& now) {
  if (known && now.id != known)
    throw_gone(launch.store_path, now.id ? "another store is in its place" : "nothing is there");
}

}  // namespace

Decided look_and_try(const FileSystem& files, const LaunchFacts& launch, const Clock& clock,
                     const LookOptions& options,
                     const std::function<void(const std::string&)>& say) {
  NewestLook newest(files, launch, clock, options, say);
  std::optional<std::string> known;
  return decide_by(files, launch, {clock, options.depth, options.progress}, [&] {
    for (;;) {
      // It writes nothing yet, a scratch name neither.
      auto store = scan_patiently(files, launch, clock, {{}, StoreView{}, options.progress}, [] {});
      require_same_store(launch, known, store);  // it may have waited for minutes
      known = store.id;
      if (options.ignore_running || newest.is_free(store)) return store;
    }
  });
}

namespace {

// What is not there any more, of a store that was, is a file system that went away.
template <typename Fn>
auto while_there(const LaunchFacts& launch, Fn&& step) {
  try {
    return step();
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kNotFound) throw;
    throw_gone(launch.store_path, e.what());
  }
}

}  // namespace

std::optional<Claimed> claim_next(FileSystem& files, const LaunchFacts& launch,
                                  const StoreView& seen, std::int64_t number, Claim claim) {
  claim.store_id = make_store(files, launch.store_path, seen);
  const bool won =
      while_there(launch, [&] { return claim_attempt(files, launch.store_path, number, claim); });
  if (!won) return std::nullopt;
  return Claimed{number, std::move(claim)};
}

std::int64_t number_after(FileSystem& files, const LaunchFacts& launch, std::int64_t taken,
                          const Clock& clock, const std::function<std::int64_t()>& look) {
  constexpr int kLooks = 10;
  const auto folder = attempt_path(launch.store_path, taken);
  for (int i = 1;; ++i) {
    while_there(launch, [&] { refresh_listing(files, attempts_path(launch.store_path)); });
    const auto highest = look();
    if (highest >= taken) return highest + 1;
    if (!with_retries([&] { return files.info(folder); })) return taken + 1;
    if (i == kLooks)
      throw Error(ErrorCode::kIo, "attempt " + std::to_string(taken) +
                                      " has claimed the store, but " +
                                      attempts_path(launch.store_path) +
                                      " does not list it: its file system is behind");
    clock.sleep(1);
  }
}

namespace {

// Makes a decision the attempt's own: its number, and on disk before anything is loaded.
Decided settle(FileSystem& files, const LaunchFacts& launch, std::int64_t attempt,
               Decided decided) {
  auto& record = decided.ruling.record;
  if (record.kind != DecisionKind::kFresh && record.kind != DecisionKind::kRestore) return decided;
  record.attempt = attempt;
  write_decision(files, launch.store_path, attempt, record);
  return decided;
}

// What the attempt decides about: all there is but itself, with nothing left in trash. `before`: an
// earlier scan, for scan_store's; of the same store, if it saw one.
StoreView scan_claimed(FileSystem& files, const LaunchFacts& launch, std::int64_t attempt,
                       const Clock& clock, const StoreView& before) {
  const auto refresh = [&] {
    while_there(launch, [&] {
      refresh_listing(files, attempts_path(launch.store_path));
      refresh_listing(files, checkpoints_path(launch.store_path));
    });
  };
  for (int i = 0; i < kScans; ++i) {
    auto store = scan_patiently(files, launch, clock, {attempt, before, ReadProgress{}}, refresh);
    require_same_store(launch, before.id, store);
    if (store.highest_attempt() > attempt)
      throw Error(ErrorCode::kSuperseded, "superseded: attempt " +
                                              std::to_string(store.highest_attempt()) +
                                              " has claimed the store meanwhile");
    if (restore_trash(files, launch.store_path, store)) return store;
  }
  throw_restless(launch);
}

// Whether a load missed a file of what is whole again: a deleter that was asleep had it in trash
// for a moment. Bounded, for a rank may see less than this one does.
bool came_back(const FileSystem& files, const LaunchFacts& launch, const Decided& before,
               const std::string& why) {
  constexpr int kMost = 3;
  if (!why.ends_with(kMissing) || before.came_back == kMost) return false;
  const auto& chosen = *before.ruling.chosen;
  const auto found =
      chosen.in_source
          ? examine(files, *before.source, *before.source->store.checkpoint(chosen.id),
                    Depth::kHeaders)
          : examine(files, launch.store_path, CheckpointView{chosen.id, {}}, Depth::kHeaders);
  return found.state != CheckpointState::kDamaged &&
         found.manifest_digest == before.ruling.record.manifest_digest;
}

// Decides anew, by what there is now, without the checkpoint that a load found damaged; but where
// it is not in its place, or was not for a moment, the load has proven nothing: an attempt that was
// taken for dead has it in trash just now.
Decided decide_without_chosen(const FileSystem& files, const LaunchFacts& launch, Decided before,
                              const std::string& why, const Clock& clock,
                              const std::function<StoreView()>& scan) {
  const auto& chosen = before.ruling.chosen;
  if (!chosen) throw Error(ErrorCode::kDamaged, why);  // weights in files
  const bool is_back = came_back(files, launch, before, why);
  const bool source_moved =
      chosen->in_source &&
      has_moved(files, *before.source, *before.source->store.checkpoint(chosen->id));
  if (source_moved) {
    look_at_from(files, launch, clock, before);
  } else if (!is_back &&
             (chosen->in_source || files.info(checkpoint_path(launch.store_path, chosen->id)))) {
    auto& found = before.chosen();
    found.state = CheckpointState::kDamaged;
    found.why = why;
  }
  const auto scan_again = [&] {
    auto store = scan();
    keep_damage(store, before.store);
    return store;
  };
  auto decided = decide_by(files, launch, {clock}, scan_again, std::move(before.source));
  decided.came_back = before.came_back + (is_back ? 1 : 0);
  return decided;
}

}  // namespace

Decided decide_claimed(FileSystem& files, const LaunchFacts& launch, std::int64_t attempt,
                       const Clock& clock, const StoreView& trial) {
  return settle(files, launch, attempt, decide_by(files, launch, {clock}, [&] {
                  return scan_claimed(files, launch, attempt, clock, trial);
                }));
}

Decided decide_again(FileSystem& files, const LaunchFacts& launch, std::int64_t attempt,
                     Decided before, const std::string& why, const Clock& clock) {
  StoreView same;
  same.id = before.store.id;
  const auto scan = [&] { return scan_claimed(files, launch, attempt, clock, same); };
  return settle(files, launch, attempt,
                decide_without_chosen(files, launch, std::move(before), why, clock, scan));
}

namespace {

StoreView scan_beside(const FileSystem& files, const LaunchFacts& launch, const Clock& clock) {
  return scan_patiently(files, launch, clock, {{}, StoreView{}, ReadProgress{}}, [] {});
}

}  // namespace

Decided decide_beside(const FileSystem& files, const LaunchFacts& launch, const Clock& clock) {
  return decide_by(files, launch, {clock}, [&] { return scan_beside(files, launch, clock); });
}

Decided decide_beside_again(const FileSystem& files, const LaunchFacts& launch, Decided before,
                            const std::string& why, const Clock& clock) {
  return decide_without_chosen(files, launch, std::move(before), why, clock,
                               [&] { return scan_beside(files, launch, clock); });
}

}  // namespace lockstep
