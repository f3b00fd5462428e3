#include <cstdio>
#include <memory>
#include <optional>
#include <type_traits>

#include "common/agree.h"
#include "common/error.h"
#include "common/fail_point.h"
#include "common/names.h"
#include "coordinator/attempt.h"
#include "coordinator/daemon/build_id.h"
#include "coordinator/daemon/early_end.h"
#include "coordinator/daemon/job.h"
#include "coordinator/daemon/log_transfer.h"
#include "coordinator/liveness.h"
#include "worker/accelerator.h"
#include "worker/checkpoint.h"
#include "worker/shard_data.h"
#include "worker/stop_signals.h"
#include "worker/training_loop.h"

namespace lockstep {

namespace {

std::string after_comma(const std::string& text) {
  return text.empty() ? text : ", " + text;
}

Manifest manifest_of(const Job& job, const SaveRequest& save) {
  Manifest manifest;
  manifest.checkpoint = {job.decision.attempt, save.iteration};
  manifest.data.position = save.position;
  if (!job.root) return manifest;  // the rest is rank 0's to say
  manifest.seed = job.loaded.config.run.seed;
  manifest.parent = job.decision.record.parent;
  manifest.data = {save.position, job.trained.data.length, job.trained.data.digest};
  manifest.metrics = save.metrics;
  manifest.config = canonical_json(job.loaded.config);
  manifest.run = job.decision.record.run;
  manifest.created = wall_clock_text();
  manifest.environment = environment_of(job);
  return manifest;
}

// A save of the job: the checkpoint's, and what the job's other parts must know of it.
class JobSave final : public PendingSave {
 public:
  JobSave(Job& job, const SaveRequest& request) : job_(job), request_(request) {
    const Held held(*this);
    const auto steps = job.root ? job.root->commit_steps(bytes_) : CommitSteps{};
    if (job.root) job.root->note_save_begun(request.iteration);
    std::optional<Beside> beside;
    if (request.beside_training)
      beside.emplace(Beside{job.arena, static_cast<std::size_t>(job.host.threads)});
    try {
      save_ = begin_save(job.comm, job.files, job.loaded.paths.store, manifest_of(job, request),
                         job.trained.view, steps, beside);
    } catch (const AgreedError&) {
      if (job.root) job.root->note_failed_save();
      throw;
    }
  }

  void await_snapshot() override {
    const Held held(*this);
    save_->await_snapshot();
  }
  bool under_way() const override { return save_->under_way(); }
  void rest() override {
    const Held held(*this);
    save_->rest();
  }
  bool failed() const override { return save_->failed(); }
  void give_up() override { save_->give_up(); }

  bool advance() override {
    const Held held(*this);
    const bool through = in_phase([&] { return save_->advance(); });
    if (through) acknowledge();
    return through;
  }

  void finish(const std::function<bool()>& time_is_over) override {
    const Held held(*this);
    in_phase([&] { save_->finish(time_is_over); });
    acknowledge();
  }

 private:
  // While it lives training stands still for this save.
  class Held {
   public:
    explicit Held(JobSave& save) : save_(save) { save_.held_since_s_ = save_.clock_.now_s(); }
    ~Held() { save_.held_s_ += save_.clock_.now_s() - save_.held_since_s_; }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    JobSave& save_;
  };

  // A collective step.
  template <typename Step>
  std::invoke_result_t<Step> in_phase(Step step) {
    const WithinPhase saving(job_.board, Phase::kSave);
    try {
      return step();
    } catch (const AgreedError&) {
      if (job_.root) job_.root->note_failed_save();
      // A job that slept while another took over may find its .partial swept: then that is the
      // cause.
      root_decides(job_.comm, "commit", [&] {
        job_.root->require_newest();
        return std::string();
      });
      throw;
    }
  }

  void acknowledge() {
    if (!job_.root) return;
    const auto took_s = clock_.now_s() - began_s_;
    const auto what = to_text(CheckpointId{job_.decision.attempt, request_.iteration});
    Transfer transfer{"committed", what,   after_comma(metrics_text(request_.metrics)),
                      bytes_,      took_s, job_.root->engine()};
    // Behind the last iteration nothing is held.
    if (request_.beside_training || !job_.loaded.config.checkpoint.async)
      transfer.held_seconds = held_s_ + (clock_.now_s() - held_since_s_);
    LOCKSTEP_FAIL_POINT("committed, not acknowledged");
    log_transfer(job_.log, transfer);
    LOCKSTEP_FAIL_POINT("acknowledged");
    if (!job_.root->saved_finite())
      job_.log.warning(what +
                       " holds NaN or Inf: latest and best pass over it, and of such only "
                       "the newest is kept");
    job_.root->note_save(
        {request_.iteration, took_s, transfer.held_seconds.value_or(took_s), bytes_});
    job_.root->tidy();
  }

  Job& job_;
  const SaveRequest request_;
  const Clock clock_ = steady_clock();
  const double began_s_ = clock_.now_s();
  const std::uint64_t bytes_ = data_bytes(job_.trained.view);
  double held_s_ = 0;
  double held_since_s_ = began_s_;
  std::unique_ptr<PendingSave> save_;
};

Training training_of(Job& job) {
  return {job.loaded.config, *job.task, *job.state, job.log, job.board, job.placement.nccl};
}

// From the host's memory, where it was initialized or loaded.
void move_state(Job& job) {
  if (!job.accelerator) return;
  agree(job.comm, "move the state to the GPU", [&] {
    job.state->move_to(*job.accelerator, *job.task);
    job.trained.view = job.state->view();
  });
}

// Saves beside training need it, at once; else what a load took is given back.
void prepare_arena(Job& job) {
  if (!job.loaded.config.checkpoint.async) return job.arena.release();
  agree(job.comm, "take memory for saves", [&] {
    job.arena.prepare(ShardData(job.trained.view, {job.comm.rank(), job.comm.size()}).bytes());
  });
}

}  // namespace

// Weights alone start a training of their own.
TrainingStart start_of(const Job& job) {
  TrainingStart start;
  if (job.manifest && !job.decision.selection.model_only)
    start = {job.manifest->checkpoint.iteration, job.manifest->data.position};
  start.position += job.decision.skip_samples;
  return start;
}

TrainingCallbacks callbacks_of(Job& job) {
  TrainingCallbacks callbacks;
  callbacks.save = [&job](const SaveRequest& request) {
    return std::make_unique<JobSave>(job, request);
  };
  callbacks.stop_signal = stop_signal_received;
  if (job.root) {
    callbacks.save_requested = [&job] { return job.root->asked_for(Asked::kSave); };
    callbacks.stop_requested = [&job] { return job.root->asked_for(Asked::kStop); };
    callbacks.seconds_left = job.seconds_left;
    callbacks.expected_save_seconds = job.root->expect_save();
    callbacks.on_iteration = [&job](const Progress& progress) { job.root->note(progress); };
    callbacks.on_interval = [&job](const Interval& interval) { job.root->note(interval); };
    callbacks.on_evaluation = [&job](const Evaluation& it) { job.root->note(it); };
  }
  return callbacks;
}

void begin_training(Job& job, const TrainingStart& start) {
  prepare_arena(job);
  root_decides(job.comm, "begin metrics", [&] {
    job.root->begin_metrics(start.iteration, start.position);
    return std::string();
  });
  job.training = true;
  job.board.enter(Phase::kTrain);
}

// Says how it ended, writes outcome.json, and gives the exit code.
int conclude(Job& job, const TrainingResult& result) {
  switch (result.end) {
    case TrainingEnd::kFinished:
      job.log.info("finished at iteration " + std::to_string(result.iteration) +
                   after_comma(metrics_text(result.metrics)));
      if (job.root) job.root->close(OutcomeKind::kFinished, 0, std::nullopt);
      return 0;
    case TrainingEnd::kPreempted:
      job.log.info(result.message + "; exit 75: requeue to carry on");
      if (job.root) job.root->close(OutcomeKind::kPreempted, kPreemptedExitCode, std::nullopt);
      return kPreemptedExitCode;
    case TrainingEnd::kStopped:
      job.log.info(result.message + "; exit 77");
      if (job.root) job.root->close(OutcomeKind::kStopped, kStoppedExitCode, std::nullopt);
      return kStoppedExitCode;
    case TrainingEnd::kNonFinite:
      break;
  }
  if (!job.root) return 2;
  const auto back = job.root->last_finite();
  const auto advice = back ? "the last finite checkpoint is " + to_text(*back) +
                                 ": go back with restore: " + to_text(*back)
                           : std::string(
                                 "no finite checkpoint was committed: start anew with "
                                 "restore: fresh and a lower learning rate");
  job.log.error(result.message + "; nothing is saved; " + advice);
  job.root->close(OutcomeKind::kFailed, 2, result.message);
  return 2;
}

int end_finished(Job& job) {
  if (job.root) job.root->close(OutcomeKind::kRefused, 0, std::nullopt);
  return 0;
}

std::map<std::string, std::string> environment_of(const Job& job) {
  std::map<std::string, std::string> environment = {
      {"build", job.build},
      {"collectives", job.placement.nccl != nullptr ? job.placement.nccl->version : "mpi"},
      {"processor", processor_model()},
      {"ranks_per_node", std::to_string(job.host.ranks)},
      {"threads", std::to_string(job.host.threads)}};
  if (!job.library.empty()) environment.emplace("library", job.library);
  if (job.placement.on_gpu()) environment.emplace("gpu", gpu_name(job.placement.gpu));
  return environment;
}

int evaluate_decided(Job& job) {
  move_state(job);
  const auto metrics = evaluate(job.comm, training_of(job));
  if (!job.root) return 0;
  const auto text = metrics.empty() ? "no metric is finite" : metrics_text(metrics);
  std::printf("%s\n", text.c_str());
  return 0;
}

int train_to_end(Job& job) {
  const auto callbacks = callbacks_of(job);
  const auto start = start_of(job);
  move_state(job);
  begin_training(job, start);
  const auto result = train(job.comm, training_of(job), start, callbacks);
  job.board.enter(Phase::kEnd);
  return conclude(job, result);
}

}  // namespace lockstep
