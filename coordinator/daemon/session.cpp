#include "coordinator/daemon/session.h"

#include <cstdio>
#include <ctime>
#include <functional>
#include <optional>

#include "common/agree.h"
#include "common/error.h"
#include "common/failure.h"
#include "coordinator/amounts.h"
#include "coordinator/config_loader.h"
#include "coordinator/daemon/build_id.h"
#include "coordinator/daemon/early_end.h"
#include "coordinator/daemon/job.h"
#include "coordinator/daemon/job_status.h"
#include "coordinator/daemon/launch_facts.h"
#include "coordinator/deadline.h"
#include "coordinator/liveness.h"
#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/counting_files.h"
#include "worker/stop_signals.h"

namespace lockstep {

namespace {

// The wall clock is looked at once, here.
std::function<double()> count_down(const Deadline& deadline) {
  const auto clock = steady_clock();
  const auto end_s =
      clock.now_s() + static_cast<double>(deadline.at) - static_cast<double>(std::time(nullptr));
  return [clock, end_s] { return end_s - clock.now_s(); };
}

void say_deadline(const Job& job, const Deadline& deadline) {
  const auto left_s = job.seconds_left();
  if (left_s > 0)
    job.log.info("deadline in " + duration_text(left_s) + " (" + deadline.from +
                 "): the job saves and ends with 75 before it");
  else
    job.log.warning("deadline: " + deadline.from + " was " + duration_text(-left_s) + " ago");
}

void describe_job(Job& job, RunsOn retention_runs_on) {
  // Rank 0 asks for it in each slice of a wait for another launch's end: that is no stall.
  const auto stops_waiting = [&job]() -> std::optional<StoppedWaiting> {
    constexpr double kRoomSeconds = 5;
    job.board.move();
    if (const int signal = stop_signal_received()) return StoppedWaiting{signal};
    // The others wait for the decision, where only their watchdogs can say it.
    if (const int signal = job.supervision.heard_stop_signal) return StoppedWaiting{signal};
    if (job.seconds_left && job.seconds_left() < kRoomSeconds) return StoppedWaiting{};
    return std::nullopt;
  };
  job.build = agree(job.comm, "read the build", build_id);
  const auto hosts = gather_texts(job.comm, this_process().host);
  root_decides(job.comm, "describe the launch", [&] {
    auto [launch, claim] = describe_launch(job.loaded, hosts, job.build, process_environment);
    if (const auto deadline = find_deadline(job.loaded.config.preempt, process_environment)) {
      claim.deadline = deadline->at;
      job.seconds_left = count_down(*deadline);
      say_deadline(job, *deadline);
    }
    job.root = std::make_unique<Root>(job.files, job.loaded, job.log, std::move(launch),
                                      std::move(claim), retention_runs_on, stops_waiting);
    job.root->keep_note(job.supervision.note);
    if (shows_status(job.loaded)) job.root->show_figures(job.supervision.figures);
    if (job.seconds_left) job.supervision.figures.deadline(monotonic_s() + job.seconds_left());
    return std::string();
  });
}

// How steps 1 and 2 end: with a decision on trial, or where nothing is to be claimed, an exit code.
struct Look {
  std::optional<DecisionRecord> trial;
  int exit_code = 0;
};

// DESIGN's steps 1 and 2. The trial decision: an error is thrown. None where the deadline is past,
// or where rank 0 waited for another launch's end and a stop signal came, or a request to stop.
Look look(Job& job) {
  const auto said = root_decides(job.comm, "choose restore", [&]() -> std::string {
    // An error and a finished run come first, as in `plan`.
    bool may_be_late = true;
    auto trial = or_early_end(job.log, [&] {
      const auto record = job.root->look();
      may_be_late = !needs_time(record.kind);
      return encode_decision(record);
    });
    if (may_be_late || !job.seconds_left || job.seconds_left() > 0) return trial;
    job.log.info(
        "the deadline is past: nothing was claimed; exit 75: requeue with a later one to carry on");
    return early_end(kPreemptedExitCode);
  });
  if (const auto code = early_exit_code(said)) return {std::nullopt, *code};
  return {agree(job.comm, "read the decision",
                [&] { return parse_decision(said, "the trial decision"); }),
          0};
}

int run_job(Job& job, Purpose purpose, RunsOn retention_runs_on, const OwnBody& own) {
  job.board.enter(purpose == Purpose::kCheck ? Phase::kPrepare : Phase::kRestore);
  if (purpose == Purpose::kCheck) return check_launch(job);
  describe_job(job, retention_runs_on);
  if (purpose == Purpose::kEvaluate) {
    prepare_task(job);
    restore_beside(job);
    return evaluate_decided(job);
  }
  const auto [trial, early_end] = look(job);
  if (!trial) return early_end;
  if (trial->kind == DecisionKind::kFinished) return 0;
  if (own) return run_own_loop(job, own);
  prepare_task(job);
  if (const auto early = restore(job)) return *early;
  if (job.decision.record.kind == DecisionKind::kFinished) return end_finished(job);
  return train_to_end(job);
}

OutcomeKind outcome_of(const AgreedError& error, bool training) {
  if (error.code() == ErrorCode::kSuperseded) return OutcomeKind::kSuperseded;
  return training ? OutcomeKind::kFailed : OutcomeKind::kRefused;
}

// What the user reads: what rank 0 decided needs no "rank 0" in front; what others' code did there
// does.
std::string error_text(const AgreedError& error, bool training) {
  const bool of_root = error.rank() == 0 && (exit_code(error.code()) == 2 || !training) &&
                       !names_others_code(error.cause());
  return of_root ? error.cause() : error.what();
}

}  // namespace

int run_session(const Comm& comm, FileSystem& files, const ReadConfig& read_config,
                Supervision& supervision, Purpose purpose, RunsOn retention_runs_on,
                const OwnBody& own) {
  const auto counted = make_counting_files(files, supervision.board);
  std::optional<Job> job;
  try {
    const auto bytes = root_decides(comm, "read configuration", read_config);
    job.emplace(comm, *counted, supervision,
                agree(comm, "read configuration", [&] { return decode_config(bytes); }));
    start_watchdog(comm, job->loaded, supervision);
    agree(comm, "watch signals", [&] { narrow_stop_signals(job->loaded.config.preempt.signals); });
    return run_job(*job, purpose, retention_runs_on, own);
  } catch (const AgreedError& e) {
    const int code = exit_code(e.code());
    if (!comm.is_root()) return code;
    if (!job) {
      // "train.yaml:5:3: ..." as compilers do, so that editors find the place.
      std::fprintf(stderr, "%s\n", escape_controls(error_text(e, false)).c_str());
      return code;
    }
    const auto text = error_text(e, job->training);
    job->log.error(text);
    if (job->root) job->root->close(outcome_of(e, job->training), code, text);
    return code;
  }
}

}  // namespace lockstep
