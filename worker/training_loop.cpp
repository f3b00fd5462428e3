#include "worker/training_loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include "common/agree.h"
#include "worker/progress.h"
#include "worker/stop_signals.h"
#include "worker/tick.h"
#include "worker/training_iteration.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// All members but `progress_`, `last_save_` and `stop_began_` are equal on all ranks at each tick.
class Loop {
 public:
  Loop(const Comm& comm, const Training& training, const TrainingStart& start,
       const TrainingCallbacks& callbacks)
      : comm_(comm),
        training_(training),
        callbacks_(callbacks),
        at_(start),
        final_(final_iteration(training.config, start, training.task.training_samples())),
        tick_(comm),
        progress_(training.log) {}

  TrainingResult run();

 private:
  TickVote vote();
  void hear(const TickVerdict& verdict);
  bool interrupted();
  IterationOutcome iterate();
  bool evaluation_due() const;
  bool save_due() const;
  void evaluate_now();
  void save();
  void save_or_warn();
  bool save_surely();
  bool may_try_again(std::int64_t failures);
  TrainingResult result(TrainingEnd end, std::string message) const;
  TrainingResult stop();
  TrainingResult nonfinite(const IterationOutcome& outcome);

  const Comm& comm_;
  const Training& training_;
  const TrainingCallbacks& callbacks_;
  TrainingStart at_;
  std::int64_t final_;
  Tick tick_;
  ProgressPrinter progress_;

  std::optional<TrainingEnd> stop_;  // kPreempted or kStopped, once a tick has said so
  std::string stop_reason_;
  bool save_asked_ = false;
  std::optional<std::int64_t> last_saved_;
  std::int64_t failed_saves_ = 0;          // in a row
  Metrics metrics_;                        // of the last evaluation
  std::optional<std::int64_t> evaluated_;  // the iteration that it was of
  Clock::time_point last_save_ = Clock::now();
  Clock::time_point stop_began_;
};

TrainingResult Loop::run() {
  tick_.start(vote());
  hear(tick_.finish());
  if (stop_) {
    return result(*stop_, stop_reason_ + " before the first iteration: nothing new to save");
  }
  while (at_.iteration < final_) {
    const IterationOutcome outcome = iterate();
    if (outcome.nonfinite && training_.config.run.stop_on_nonfinite) return nonfinite(outcome);
    if (evaluation_due()) evaluate_now();
    if (stop_) return stop();
    if (at_.iteration == final_) {
      save_surely();
    } else if (save_due()) {
      save_or_warn();
    }
  }
  return result(TrainingEnd::kFinished, "finished at iteration " + std::to_string(at_.iteration));
}

// What this rank has to say now. Requests are handed out once, hence remembered when heard.
TickVote Loop::vote() {
  TickVote vote;
  if (callbacks_.stop_signal) vote.signal = callbacks_.stop_signal();
  if (!comm_.is_root()) return vote;
  vote.stop = callbacks_.stop_requested && callbacks_.stop_requested();
  vote.save = callbacks_.save_requested && callbacks_.save_requested();
  const auto& minutes = training_.config.checkpoint.minutes;
  vote.save = vote.save || (minutes && since(last_save_) >= 60 * *minutes);
  return vote;
}

void Loop::hear(const TickVerdict& verdict) {
  save_asked_ = save_asked_ || verdict.save_rank;
  if (stop_ || (!verdict.signal_rank && !verdict.stop_rank)) return;
  stop_began_ = Clock::now();
  if (verdict.stop_rank) {  // the user's word: it must not be requeued
    stop_ = TrainingEnd::kStopped;
    stop_reason_ = "stopped on request";
  } else {
    stop_ = TrainingEnd::kPreempted;
    stop_reason_ = "preempted by " + signal_name(verdict.signal) + " on rank " +
                   std::to_string(*verdict.signal_rank);
  }
}

// A tick without an iteration.
bool Loop::interrupted() {
  tick_.start(vote());
  hear(tick_.finish());
  return stop_.has_value();
}

IterationOutcome Loop::iterate() {
  const auto began = Clock::now();
  IterationOutcome outcome = run_iteration(comm_, tick_, training_, at_, [this] { return vote(); });
  if (outcome.verdict.failed_rank) {
    agree(comm_, "iteration " + std::to_string(at_.iteration + 1), [&] {
      if (outcome.failure) std::rethrow_exception(outcome.failure);
    });
  }
  const auto& batch = outcome.sums;
  at_.iteration += 1;
  at_.position += training_.config.data.global_batch;
  hear(outcome.verdict);

  if (comm_.is_root()) {
    const auto samples = static_cast<double>(batch.samples);
    Progress progress{.iteration = at_.iteration,
                      .final_iteration = final_,
                      .position = at_.position,
                      .loss = batch.loss / samples,
                      .accuracy = std::nullopt,
                      .gradient_norm = outcome.gradient_norm,
                      .learning_rate = outcome.learning_rate,
                      .seconds = since(began),
                      .samples = batch.samples};
    if (training_.task.counts_correct()) progress.accuracy = batch.correct / samples;
    progress_.add(progress);
    if (callbacks_.on_iteration) callbacks_.on_iteration(progress);
  }
  return outcome;
}

bool Loop::save_due() const {
  return save_asked_ || at_.iteration % training_.config.checkpoint.interval == 0;
}

bool Loop::evaluation_due() const {
  if (stop_) return false;
  const auto& interval = training_.config.evaluate.interval;
  return at_.iteration == final_ || (interval && at_.iteration % *interval == 0) ||
         (training_.config.checkpoint.keep_best && save_due());
}

// A stop that comes while it goes on ends it without metrics.
void Loop::evaluate_now() {
  progress_.pause();
  const Metrics metrics = run_evaluation(comm_, training_.task, [this] { return interrupted(); });
  progress_.resume();
  if (stop_) return;
  metrics_ = metrics;
  evaluated_ = at_.iteration;
  Log::Fields fields = {{"iteration", std::to_string(at_.iteration)}};
  for (const auto& [name, value] : metrics)
    fields.emplace_back(name, json_number(value));
  training_.log.info("evaluation at iteration " + std::to_string(at_.iteration) + ": " +
                         (metrics.empty() ? "no metric is finite" : metrics_text(metrics)),
                     fields);
}

void Loop::save() {
  callbacks_.save({.iteration = at_.iteration,
                   .position = at_.position,
                   .metrics = evaluated_ == at_.iteration ? metrics_ : Metrics{}});
  last_saved_ = at_.iteration;
  last_save_ = Clock::now();
  failed_saves_ = 0;
  save_asked_ = false;
}

// A save in the midst of training: the next one may succeed where this one fails.
void Loop::save_or_warn() {
  try {
    save();
  } catch (const AgreedError& error) {
    ++failed_saves_;
    if (error.code() != ErrorCode::kIo ||
        failed_saves_ >= training_.config.checkpoint.max_failures) {
      throw;
    }
    training_.log.warning("iteration " + std::to_string(at_.iteration) + " is not saved (failure " +
                          std::to_string(failed_saves_) + " in a row, the run ends at " +
                          std::to_string(training_.config.checkpoint.max_failures) +
                          "): " + error.what());
    last_save_ = Clock::now();
    save_asked_ = false;
  }
}

// The last save or a stop's. False: a stop's save that had to be dropped.
bool Loop::save_surely() {
  for (std::int64_t failures = 1;; ++failures) {
    try {
      save();
      return true;
    } catch (const AgreedError& error) {
      const bool last = failures > training_.config.checkpoint.max_failures;
      if (error.code() != ErrorCode::kIo || last) throw;
      training_.log.warning("iteration " + std::to_string(at_.iteration) +
                            " is not saved, trying again: " + error.what());
    }
    if (!may_try_again(failures)) return false;
  }
}

// Waits a little. False where the grace time of a preemption, as rank 0 measures it, is nearly
// over.
bool Loop::may_try_again(std::int64_t failures) {
  const auto answer = root_decides(comm_, "save again", [&] {
    const bool limited = stop_ == TrainingEnd::kPreempted;
    const auto grace = static_cast<double>(training_.config.preempt.grace_seconds);
    const double wait = std::min(0.1 * static_cast<double>(failures), 1.0);
    if (limited && since(stop_began_) + wait > grace - 5) return std::string("no");
    std::this_thread::sleep_for(std::chrono::duration<double>(wait));
    return std::string("yes");
  });
  return answer == "yes";
}

TrainingResult Loop::result(TrainingEnd end, std::string message) const {
  return {.end = end,
          .iteration = at_.iteration,
          .last_saved = last_saved_,
          .metrics = metrics_,
          .message = std::move(message)};
}

TrainingResult Loop::stop() {
  progress_.pause();
  const std::string iteration = std::to_string(at_.iteration);
  training_.log.info(stop_reason_ + ": saving iteration " + iteration);
  if (save_surely()) return result(*stop_, stop_reason_ + ": iteration " + iteration + " is saved");
  return result(*stop_, stop_reason_ + ": the grace time is over; iterations after " +
                            (last_saved_ ? std::to_string(*last_saved_) : "the start") + " up to " +
                            iteration + " are lost");
}

TrainingResult Loop::nonfinite(const IterationOutcome& outcome) {
  progress_.pause();
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
  return Loop(comm, training, start, callbacks).run();
}

Metrics evaluate(const Comm& comm, const Training& training) {
  return run_evaluation(comm, training.task, [] { return false; });
}

}  // namespace lockstep
