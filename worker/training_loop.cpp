#include "worker/training_loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "common/agree.h"
#include "common/failure.h"
#include "worker/data_order.h"
#include "worker/interval_meter.h"
#include "worker/loop_control.h"
#include "worker/progress.h"
#include "worker/recent_median.h"
#include "worker/stopwatch.h"
#include "worker/training_iteration.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// All members but `progress_` and times are equal on all ranks at each tick.
class Loop {
 public:
  Loop(const Comm& comm, const Training& training, const TrainingStart& start,
       const TrainingCallbacks& callbacks)
      : comm_(comm),
        training_(training),
        callbacks_(callbacks),
        at_(start),
        final_(final_iteration(training.config, start, training.task.training_samples())),
        control_(comm, training.config, training.log, training.board, callbacks),
        parts_(comm, control_.tick(), training, start),
        progress_(training.log) {}

  TrainingResult run();
  void settle() { control_.settle(); }
  // The iterations whose interval is not told yet.
  void tell_rest();

 private:
  IterationOutcome iterate();
  bool evaluation_due() const;
  void evaluate_now();
  SaveRequest request() const;
  void tell_progress(const IterationOutcome& outcome, double seconds);
  TrainingResult result(TrainingEnd end, std::string message) const;
  TrainingResult stop();
  void show_model();
  TrainingResult nonfinite(const IterationOutcome& outcome);

  const Comm& comm_;
  const Training& training_;
  const TrainingCallbacks& callbacks_;
  TrainingStart at_;
  std::int64_t final_;
  LoopControl control_;
  IterationParts parts_;
  ProgressPrinter progress_;
  const Clock::time_point began_ = Clock::now();
  TimeSplit spent_;      // since then
  IntervalMeter meter_;  // rank 0
  RecentMedian iteration_seconds_;
  RecentMedian work_seconds_;
  Metrics metrics_;                        // of the last evaluation
  std::optional<std::int64_t> evaluated_;  // the iteration that it was of
};

TrainingResult Loop::run() {
  if (control_.interrupted()) {
    const auto [end, message] = control_.stop_unsaved();
    return result(end, message);
  }
  while (at_.iteration < final_) {
    const IterationOutcome outcome = iterate();
    if (outcome.nonfinite && training_.config.run.stop_on_nonfinite) return nonfinite(outcome);
    if (evaluation_due()) evaluate_now();
    if (control_.stopping()) return stop();
    if (at_.iteration == final_) {
      timed(spent_.save, [&] { control_.save_last(request()); });
    } else {
      timed(spent_.save, [&] { control_.save_if_due(request()); });
      if (control_.stopping()) return stop();
    }
    if (at_.iteration % training_.config.metrics.interval == 0) tell_rest();
  }
  return result(TrainingEnd::kFinished, "finished at iteration " + std::to_string(at_.iteration));
}

void Loop::tell_rest() {
  if (!comm_.is_root() || meter_.iterations() == 0) return;
  const auto interval = meter_.take(since(began_), spent_);
  if (callbacks_.on_interval) callbacks_.on_interval(interval);
}

IterationOutcome Loop::iterate() {
  const auto began = Clock::now();
  IterationOutcome outcome = run_iteration(parts_, training_, at_,
                                           {.vote = [this] { return control_.vote(); },
                                            .before_step = [this] { control_.await_snapshot(); }});
  if (outcome.verdict.failed_rank) {
    agree(comm_, "iteration " + std::to_string(at_.iteration + 1), [&] {
      if (outcome.failure) std::rethrow_exception(outcome.failure);
    });
  }
  at_.iteration += 1;
  at_.position += training_.config.data.global_batch;
  timed(spent_.save, [&] { control_.hear(outcome.verdict); });
  spent_ += outcome.spent;
  iteration_seconds_.add(since(began));
  work_seconds_.add(outcome.work_seconds);
  training_.board.set_iteration_seconds(iteration_seconds_.value());
  training_.board.set_work_seconds(work_seconds_.value());
  if (comm_.is_root()) tell_progress(outcome, since(began));
  return outcome;
}

// Rank 0.
void Loop::tell_progress(const IterationOutcome& outcome, double seconds) {
  const auto& batch = outcome.sums;
  const auto samples = static_cast<double>(batch.samples);
  Progress progress{.iteration = at_.iteration,
                    .final_iteration = final_,
                    .position = at_.position,
                    .loss = batch.loss / samples,
                    .accuracy = std::nullopt,
                    .gradient_norm = outcome.gradient_norm,
                    .learning_rate = outcome.learning_rate,
                    .seconds = seconds,
                    .samples = batch.samples};
  if (training_.task.counts_correct()) progress.accuracy = batch.correct / samples;
  control_.note_iteration(progress.seconds);
  meter_.add(progress);
  progress_.add(progress, spent_);
  if (callbacks_.on_iteration) callbacks_.on_iteration(progress);
}

bool Loop::evaluation_due() const {
  if (control_.stopping()) return false;
  const auto& interval = training_.config.evaluate.interval;
  return at_.iteration == final_ || (interval && at_.iteration % *interval == 0) ||
         (training_.config.checkpoint.keep_best &&
          control_.save_choice(at_.iteration) == SaveChoice::kSave);
}

// A stop that comes while it goes on ends it without metrics.
void Loop::evaluate_now() {
  progress_.pause(spent_);
  Evaluation evaluation{.iteration = at_.iteration, .position = at_.position};
  evaluation.metrics = timed(evaluation.seconds, [&] {
    return run_evaluation(comm_, training_, [this] { return control_.interrupted(); });
  });
  spent_.evaluation += evaluation.seconds;
  progress_.resume(spent_);
  if (control_.stopping()) return;
  const auto& metrics = evaluation.metrics;
  metrics_ = metrics;
  evaluated_ = at_.iteration;
  if (comm_.is_root() && callbacks_.on_evaluation) callbacks_.on_evaluation(evaluation);
  Log::Fields fields = {{"iteration", std::to_string(at_.iteration)}};
  for (const auto& [name, value] : metrics)
    fields.emplace_back(name, json_number(value));
  training_.log.info(
      "evaluation at iteration " + std::to_string(at_.iteration) + ": " +
          (!metrics.empty()                          ? metrics_text(metrics)
           : training_.task.evaluation_samples() > 0 ? "no metric is finite"
                                                     : "the task has no sample to evaluate on"),
      fields);
  timed(spent_.evaluation, [&] { show_model(); });
}

// Rank 0 shows people what the model makes now; the others wait at their next collective.
void Loop::show_model() {
  if (!comm_.is_root()) return;
  const auto seed = static_cast<std::uint64_t>(training_.config.run.seed);
  try {
    const auto made =
        training_.task.show(rng_seed({.seed = seed, .iteration = at_.iteration, .rank = 0}));
    if (!made.empty()) training_.log.info("the model writes:\n" + made);
  } catch (...) {
    training_.log.warning("what the model makes can't be shown: " +
                          failure_text(std::current_exception()));
  }
}

SaveRequest Loop::request() const {
  return {.iteration = at_.iteration,
          .position = at_.position,
          .metrics = evaluated_ == at_.iteration ? metrics_ : Metrics{}};
}

TrainingResult Loop::result(TrainingEnd end, std::string message) const {
  return {.end = end,
          .iteration = at_.iteration,
          .last_saved = control_.last_saved(),
          .metrics = metrics_,
          .message = std::move(message)};
}

TrainingResult Loop::stop() {
  const Stopwatch saving(spent_.save);
  progress_.pause(spent_);
  const auto [end, message] = control_.stop(request());
  return result(end, message);
}

TrainingResult Loop::nonfinite(const IterationOutcome& outcome) {
  progress_.pause(spent_);
  timed(spent_.save, [&] { control_.finish_or_warn(); });
  const auto& rank = outcome.verdict.nonfinite_rank;
  const char* what = std::isfinite(outcome.sums.loss) ? "gradients" : "loss";
  return result(TrainingEnd::kNonFinite,
                "iteration " + std::to_string(at_.iteration) + ": " + what + " not finite" +
                    (rank ? " on rank " + std::to_string(*rank) : " when summed over the ranks"));
}

}  // namespace

TrainingResult train(const Comm& comm, const Training& training, const TrainingStart& start,
                     const TrainingCallbacks& callbacks) {
  if (training.config.data.global_batch < comm.size()) {
    throw AgreedError(ErrorCode::kInvalidConfig, 0, "training",
                      "data.global_batch: " + std::to_string(training.config.data.global_batch) +
                          " samples for " + std::to_string(comm.size()) +
                          " ranks; raise it or start fewer ranks");
  }
  Loop loop(comm, training, start, callbacks);
  try {
    auto result = loop.run();
    loop.tell_rest();
    return result;
  } catch (const AgreedError&) {
    loop.settle();
    loop.tell_rest();
    throw;
  }
}

Metrics evaluate(const Comm& comm, const Training& training) {
  return run_evaluation(comm, training, [] { return false; });
}

}  // namespace lockstep
