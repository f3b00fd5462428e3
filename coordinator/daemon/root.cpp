#include "coordinator/daemon/root.h"

#include <algorithm>
#include <ctime>

#include "common/error.h"
#include "common/fail_point.h"
#include "common/names.h"
#include "common/reach.h"
#include "common/retries.h"
#include "coordinator/amounts.h"
#include "coordinator/attempt.h"
#include "coordinator/catalog.h"
#include "coordinator/commit.h"
#include "coordinator/daemon/decision_lines.h"
#include "coordinator/daemon/job_status.h"
#include "coordinator/event_file.h"
#include "coordinator/probe.h"
#include "coordinator/retainer.h"
#include "coordinator/retention.h"
#include "coordinator/source.h"
#include "coordinator/watchdog/background.h"
#include "worker/stop_time.h"

namespace lockstep {

Root::Root(FileSystem& files, const LoadedConfig& loaded, const Log& log, LaunchFacts launch,
           Claim claim, RunsOn retention_runs_on,
           std::function<std::optional<StoppedWaiting>()> stops_waiting)
    : files_(files),
      loaded_(loaded),
      log_(log),
      launch_(std::move(launch)),
      claim_(std::move(claim)),
      retention_runs_on_(retention_runs_on),
      stops_waiting_(std::move(stops_waiting)) {}

namespace {

// An error of the decision ends the launch: its reasons are part of what the user reads.
void throw_if_error(const Ruling& ruling, const Log& log) {
  if (ruling.record.kind != DecisionKind::kError) return;
  log.info("decision: none");
  for (const auto& reason : ruling.record.reasons)
    log.info("  because " + reason);
  throw Error(ruling.code, ruling.record.error.value_or("no decision"));
}

}  // namespace

// The wait may be longer than the time that a batch system gives to a signal.
Clock Root::patient_clock() {
  constexpr double kSliceSeconds = 0.2;
  auto clock = steady_clock();
  clock.sleep = [this, sleep = clock.sleep, kSliceSeconds](double seconds) {
    for (auto left = seconds; left > 0; left -= kSliceSeconds) {
      sleep(std::min(left, kSliceSeconds));
      if (const auto stopped = stops_waiting_()) throw *stopped;
    }
  };
  return clock;
}

DecisionRecord Root::look() {
  const auto known = decided_.store.id;
  decided_ = look_and_try(files_, launch_, patient_clock(), {},
                          [&](const std::string& text) { log_.info(text); });
  if (known && decided_.store.id != known)
    throw_gone(launch_.store_path, "a second look saw another, or none");
  throw_if_error(decided_.ruling, log_);
  if (decided_.ruling.record.kind == DecisionKind::kFinished) say_decision();
  return decided_.ruling.record;
}

std::string Root::claim() {
  for (auto number = decided_.store.highest_attempt() + 1;;) {
    claimed_ = claim_next(files_, launch_, decided_.store, number, claim_);
    if (claimed_) break;
    number = number_after(files_, launch_, number, patient_clock(), [this] {
      look();
      return decided_.store.highest_attempt();
    });
  }
  note_->store_id = claimed_->claim.store_id;
  note_->attempt = claimed_->attempt;
  make_requests_folder(files_, launch_.store_path, claimed_->attempt);
  heartbeat_ = std::make_unique<HeartbeatWriter>(
      files_, attempt_path(launch_.store_path, claimed_->attempt) + "/heartbeat",
      loaded_.config.watchdog.heartbeat_seconds,
      HeartbeatHooks{[this] { require_own_store(); }, [this] { look_for_requests(); }});
  auto trial = std::move(decided_.store);
  trial.id = claimed_->claim.store_id;  // made by the claim, perhaps
  decided_ = decide_claimed(files_, launch_, claimed_->attempt, steady_clock(), trial);
  if (figures_ != nullptr)
    status_ = show_status(loaded_, launch_.store_path, claimed_->attempt, *figures_, log_);
  for (const auto& attempt : decided_.store.attempts)
    for (const auto& damage : attempt.damage)
      log_.warning("attempt " + std::to_string(attempt.number) + ": damaged " + damage);
  return share();
}

// On the heartbeat's thread.
void Root::look_for_requests() {
  constexpr std::size_t kMostOfAName = 200;
  // Too late: it is left untaken, so that nobody takes it for heard.
  if (note_->ended || !is_own_store()) return;  // what lies in another's is not for this job
  Taken taken;
  try {
    taken = take_requests(files_, launch_.store_path, claimed_->attempt);
  } catch (const Error& e) {
    taken.left.emplace_back(e.what());  // still there at the next heartbeat
  }
  requests_.put(taken.requests);
  for (const auto& request : taken.requests)
    log_.info(to_text(request.asked) + " asked for by " +
              escape_controls(request.who.substr(0, kMostOfAName)));
  if (!taken.refused.empty())
    log_.warning(count_text(taken.refused.size(), "file") +
                 " in requests/ ignored and removed: " + taken.refused.front());
  if (!taken.left.empty() && !requests_failing_)
    log_.warning("requests can't be taken now: " + taken.left.front());
  requests_failing_ = !taken.left.empty();
}

std::string Root::decide_again(const std::string& cause) {
  const auto damaged = decided_.ruling.chosen;
  // The reader names the checkpoint; so does every text that this goes into.
  const auto prefix = damaged ? to_text(damaged->id) + ": " : std::string();
  const auto why = cause.rfind(prefix, 0) == 0 ? cause.substr(prefix.size()) : cause;
  log_.warning("load: " + (damaged ? to_text(damaged->id) + " is " : "") + "damaged: " + why);
  if (claimed_) {
    decided_ = lockstep::decide_again(files_, launch_, claimed_->attempt, std::move(decided_), why);
  } else {
    // The job that runs here may just have deleted it: what there is now decides.
    decided_ = decide_beside_again(files_, launch_, std::move(decided_), why);
  }
  if (damaged && decided_.ruling.chosen == damaged)
    log_.info("load: " + to_text(damaged->id) + " is all there by now: it is loaded again");
  return share();
}

std::string Root::preview() {
  launch_.evaluates = true;
  decided_ = decide_beside(files_, launch_);
  return share();
}

void Root::describe(const DataPosition& data,
                    const std::map<std::string, std::string>& environment) {
  launch_.data = data;
  launch_.environment = environment;
}

std::string Root::share() {
  const auto& ruling = decided_.ruling;
  throw_if_error(ruling, log_);
  SharedDecision shared;
  if (claimed_) {
    shared.attempt = claimed_->attempt;
    shared.nonce = claimed_->claim.nonce;
  }
  shared.record = ruling.record;
  shared.selection = ruling.selection;
  shared.skip_samples = ruling.skip_samples;
  if (ruling.chosen) {
    share_checkpoint(*ruling.chosen, shared);
  } else if (ruling.record.kind == DecisionKind::kRestore) {
    shared.weights = encode(decided_.source->weights);
  }
  const auto& parent = ruling.record.parent;
  if (heartbeat_ && parent) heartbeat_->set_iteration(parent->checkpoint.iteration);
  say_decision();
  return encode(shared);
}

void Root::share_checkpoint(const Chosen& chosen, SharedDecision& shared) {
  shared.checkpoint = chosen.id;
  shared.folder = chosen.in_source
                      ? folder_of(*decided_.source, chosen.id)
                      : folder_of(launch_.store_path, *decided_.store.checkpoint(chosen.id));
  try {
    shared.manifest = with_retries([&] {
      return read_small_file(files_, shared.folder + "/manifest.json", kMaxManifestBytes);
    });
  } catch (const Error& e) {
    // A job that is at work where it comes from may have deleted it just now.
    if (e.code() != ErrorCode::kNotFound) throw;
    throw Error(ErrorCode::kIo, to_text(chosen.id) + ": gone since it was decided on: " + e.what());
  }
  if (manifest_digest(shared.manifest) != shared.record.manifest_digest)
    throw Error(ErrorCode::kIo,
                to_text(chosen.id) + ": manifest.json changed while it was decided on");
  const bool finite = decided_.chosen().state == CheckpointState::kGood;
  const bool own = !chosen.in_source && !shared.selection.model_only;
  last_finite_ = finite && own ? std::optional(chosen.id) : std::nullopt;
}

void Root::say_decision() const {
  const auto attempt = claimed_ ? std::optional(claimed_->attempt) : std::nullopt;
  for (const auto& line : decision_lines(decided_.ruling.record, decided_.store, launch_, attempt))
    log_.info(line);
}

CommitSteps Root::commit_steps(std::uint64_t checkpoint_bytes) {
  const auto& store = launch_.store_path;
  return {[this, &store, checkpoint_bytes](const CheckpointId& id) {
            in_reach(store, [&] {
              require_own_store();
              make_space(
                  files_, store, claimed_->attempt, [&] { return free_bytes(store); },
                  checkpoint_bytes);
              begin_commit(files_, store, id);
            });
          },
          [this, &store](const Manifest& manifest) {
            in_reach(store, [&] {
              require_own_store();
              commit(files_, store, manifest);
              require_own_store();
            });
            LOCKSTEP_FAIL_POINT("committed, not noted");
            last_committed_ = manifest.checkpoint.iteration;
            note_->committed = *last_committed_;
            engine_ = manifest.engine.value_or("");
            saved_finite_ = manifest.finite;
            if (manifest.finite) last_finite_ = manifest.checkpoint;
            heartbeat_->set_committed(manifest.checkpoint.iteration);
            heartbeat_->beat();
            LOCKSTEP_FAIL_POINT("commit noted");
          },
          [this, &store](const CheckpointId& id) { abandon_commit(files_, store, id); }};
}

void Root::require_own_store() const {
  require_same_store(files_, launch_.store_path, claimed_->claim.store_id);
}

bool Root::is_own_store() const {
  try {
    require_own_store();
    return true;
  } catch (const Error&) {
    return false;
  }
}

void Root::require_newest() const {
  try {
    require_own_store();
    lockstep::require_newest(files_, launch_.store_path, claimed_->attempt);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kSuperseded) throw;
  }
}

void Root::tidy() {
  if (!retention_) {
    const auto retainer = std::make_shared<Retainer>(files_, launch_.store_path, claimed_->attempt,
                                                     rule_of(loaded_.config.checkpoint), log_);
    retention_ = std::make_unique<RetentionWorker>(
        [this, retainer](std::int64_t acknowledged, const std::function<bool()>& hurried) {
          if (is_own_store())
            retainer->pass(acknowledged, [&] { return hurried() || !is_own_store(); });
        },
        retention_runs_on_);
  }
  retention_->committed(*last_committed_);
}

void Root::begin_metrics(std::int64_t iteration, std::int64_t position) {
  const MetricsOrigin origin{launch_.run.id, claimed_->attempt, iteration, position,
                             decided_.ruling.record.parent};
  metrics_ = std::make_unique<MetricsLog>(
      files_, log_, origin, attempt_path(launch_.store_path, claimed_->attempt), event_file(origin),
      retention_runs_on_, [this] { return is_own_store(); });
}

std::optional<EventFile> Root::event_file(const MetricsOrigin& origin) const {
  if (!loaded_.config.metrics.tensorboard) return std::nullopt;
  const auto folder = launch_.store_path + "/tensorboard";
  return EventFile{folder, event_file_name(origin.attempt, std::time(nullptr), this_process().host),
                   first_step_to_forget(files_, folder, decided_.store, origin)};
}

void Root::note(const Interval& interval) {
  metrics_->add(interval);
  if (figures_ != nullptr) figures_->interval(interval);
}

void Root::note(const Evaluation& evaluation) {
  metrics_->add(evaluation);
  if (figures_ != nullptr) figures_->evaluation(evaluation);
}

void Root::note(const Progress& progress) {
  if (figures_ != nullptr) {
    Pace pace;
    pace.iteration = progress.iteration;
    pace.final_iteration = progress.final_iteration;
    pace.position = progress.position;
    pace.loss = progress.loss;
    pace.accuracy = progress.accuracy;
    pace.gradient_norm = progress.gradient_norm;
    pace.learning_rate = progress.learning_rate;
    pace.samples_made = progress.samples;
    pace.seconds = progress.seconds;
    figures_->iteration(pace, monotonic_s());
  }
  heartbeat_->set_iteration(progress.iteration);
  if (!beaten_) heartbeat_->beat();
  beaten_ = true;
  const bool failing = heartbeat_->failure().has_value();
  if (failing && !heartbeat_failing_)
    log_.warning("heartbeat: " + *heartbeat_->failure() +
                 "; training goes on, others may take this job for dead");
  if (!failing && heartbeat_failing_) log_.info("heartbeat: written again");
  heartbeat_failing_ = failing;
}

void Root::note_save_begun(std::int64_t iteration) {
  if (figures_ != nullptr) figures_->save_began(iteration);
}

void Root::note_save(const SaveFact& save) {
  save_seconds_ = save.seconds;
  if (figures_ != nullptr) figures_->save_ended(save, monotonic_s());
  compare_with_grace(save.seconds, "a save took ");
}

void Root::note_failed_save() {
  if (figures_ != nullptr) figures_->save_failed();
}

std::optional<double> Root::expect_save() {
  const auto seconds = expected_save_seconds(decided_);
  if (seconds)
    compare_with_grace(*seconds, "a save of attempt " +
                                     std::to_string(decided_.ruling.chosen->id.attempt) + " took ");
  return seconds;
}

void Root::compare_with_grace(double seconds, const std::string& what) {
  const auto grace = static_cast<double>(loaded_.config.preempt.grace_seconds);
  const auto room = grace - drop_margin(grace);
  if (warned_of_grace_ || grace == 0 || seconds <= room) return;  // 0: there is no notice
  warned_of_grace_ = true;
  log_.warning(
      what + duration_text(seconds) + ", but preempt.grace_seconds leaves " + duration_text(room) +
      ": a preemption would lose what was done since the last save. Raise it together with "
      "the batch system's notice, or lower checkpoint.interval");
}

void Root::close(OutcomeKind kind, int exit_code, const std::optional<std::string>& error) {
  if (!claimed_ || note_->ended.exchange(true)) return;
  // Before the outcome: what an attempt with an outcome has in trash does not come back. Who was
  // stopped has no time to lose; what is left over is the next attempt's to delete.
  constexpr double kLimitOfAStopSeconds = 2;
  constexpr double kLimitOfMetricsSeconds = 10;
  const bool stopped = kind != OutcomeKind::kFinished;
  if (metrics_) metrics_->finish(stopped ? kLimitOfAStopSeconds : kLimitOfMetricsSeconds);
  if (retention_) retention_->finish(stopped ? std::optional(kLimitOfAStopSeconds) : std::nullopt);
  try {
    if (heartbeat_) heartbeat_->beat();
    require_own_store();
    write_outcome(files_, launch_.store_path, claimed_->attempt,
                  {kind, exit_code, last_committed_, error, {}, save_seconds_});
    note_->closed = true;
  } catch (const Error& e) {
    log_.warning(std::string("outcome.json: ") + e.what());
  }
  if (!status_) return;
  figures_->ended();
  constexpr double kLimitOfStatusSeconds = 0.5;  // of a stop: it comes out of the grace time
  status_->finish(stopped ? kLimitOfStatusSeconds : kLimitOfAStopSeconds);
}

}  // namespace lockstep
