#include "worker/training_loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "common/agree.h"
#include "worker/data_order.h"
#include "worker/progress.h"
#include "worker/recent_median.h"
#include "worker/saver.h"
#include "worker/stop_signals.h"
#include "worker/tick.h"
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
        parts_(comm, training, start),
        progress_(training.log),
        saver_(comm, training.config, training.log, callbacks.save),
        left_at_start_(callbacks.seconds_left ? callbacks.seconds_left() : 0) {}

  TrainingResult run();
  // After a failure that all ranks know of: what was good is not lost with what is not.
  void settle();

 private:
  TickVote vote();
  void hear(const TickVerdict& verdict);
  bool interrupted();
  IterationOutcome iterate();
  bool evaluation_due() const;
  SaveChoice save_choice() const;
  void save_now();
  void evaluate_now();
  bool deadline_near();
  SaveRequest request() const;
  double given_to_save();
  TrainingResult result(TrainingEnd end, std::string message) const;
  TrainingResult stop();
  void show_model();
  TrainingResult nonfinite(const IterationOutcome& outcome);

  const Comm& comm_;
  const Training& training_;
  const TrainingCallbacks& callbacks_;
  TrainingStart at_;
  std::int64_t final_;
  IterationParts parts_;
  ProgressPrinter progress_;
  RecentMedian iteration_seconds_;
  RecentMedian work_seconds_;

  std::optional<TrainingEnd> stop_;  // kPreempted or kStopped, once a tick has said so
  std::string stop_reason_;
  bool stop_by_deadline_ = false;
  bool save_asked_ = false;
  Saver saver_;
  Metrics metrics_;                        // of the last evaluation
  std::optional<std::int64_t> evaluated_;  // the iteration that it was of
  RecentLongest iterations_took_;          // rank 0
  double left_at_start_ = 0;               // rank 0: until the deadline
  Clock::time_point stop_began_;
};

TrainingResult Loop::run() {
  parts_.tick.start(vote());
  hear(parts_.tick.finish());
  if (stop_) {
    return result(*stop_, stop_reason_ + " before the first iteration: nothing new to save");
  }
  while (at_.iteration < final_) {
    const IterationOutcome outcome = iterate();
    if (outcome.nonfinite && training_.config.run.stop_on_nonfinite) return nonfinite(outcome);
    if (evaluation_due()) evaluate_now();
    if (stop_) return stop();
    if (at_.iteration == final_) {
      saver_.save_surely(request());
    } else {
      save_now();
      if (stop_) return stop();
    }
  }
  return result(TrainingEnd::kFinished, "finished at iteration " + std::to_string(at_.iteration));
}

void Loop::settle() {
  try {
    saver_.finish_or_warn();
  } catch (const AgreedError&) {  // NOLINT(bugprone-empty-catch)
    // The first error is the one to tell.
  }
}

// What this rank has to say now. Requests are handed out once, hence remembered when heard.
TickVote Loop::vote() {
  TickVote vote;
  saver_.vote(vote);
  if (callbacks_.stop_signal) vote.signal = callbacks_.stop_signal();
  if (!comm_.is_root()) return vote;
  vote.stop = callbacks_.stop_requested && callbacks_.stop_requested();
  vote.save = callbacks_.save_requested && callbacks_.save_requested();
  const auto& minutes = training_.config.checkpoint.minutes;
  vote.save = vote.save || (minutes && saver_.since_last_s() >= 60 * *minutes);
  vote.deadline = deadline_near();
  return vote;
}

bool Loop::deadline_near() {
  if (!callbacks_.seconds_left) return false;
  auto save = saver_.takes_s() ? saver_.takes_s() : callbacks_.expected_save_seconds;
  if (save && saver_.busy()) *save *= 2;  // the one in flight is finished first
  return deadline_due({.now = callbacks_.seconds_left(),
                       .at_start = left_at_start_,
                       .save = save,
                       .iteration = iterations_took_.value().value_or(0),
                       .grace = static_cast<double>(training_.config.preempt.grace_seconds)});
}

void Loop::hear(const TickVerdict& verdict) {
  saver_.hear(verdict);
  save_asked_ = save_asked_ || verdict.save_rank;
  if (stop_ || (!verdict.signal_rank && !verdict.stop_rank && !verdict.deadline_rank)) return;
  stop_began_ = Clock::now();
  if (verdict.stop_rank) {  // the user's word: it must not be requeued
    stop_ = TrainingEnd::kStopped;
    stop_reason_ = "stopped on request";
  } else if (!verdict.signal_rank) {
    stop_ = TrainingEnd::kPreempted;
    stop_by_deadline_ = true;
    stop_reason_ = "the deadline is near";
  } else {
    stop_ = TrainingEnd::kPreempted;
    stop_reason_ = "preempted by " + signal_name(verdict.signal) + " on rank " +
                   std::to_string(*verdict.signal_rank);
  }
}

// A tick without an iteration.
bool Loop::interrupted() {
  parts_.tick.start(vote());
  hear(parts_.tick.finish());
  return stop_.has_value();
}

IterationOutcome Loop::iterate() {
  const auto began = Clock::now();
  IterationOutcome outcome = run_iteration(
      parts_, training_, at_,
      {.vote = [this] { return vote(); }, .before_step = [this] { saver_.await_snapshot(); }});
  if (outcome.verdict.failed_rank) {
    agree(comm_, "iteration " + std::to_string(at_.iteration + 1), [&] {
      if (outcome.failure) std::rethrow_exception(outcome.failure);
    });
  }
  const auto& batch = outcome.sums;
  at_.iteration += 1;
  at_.position += training_.config.data.global_batch;
  hear(outcome.verdict);
  iteration_seconds_.add(since(began));
  work_seconds_.add(outcome.work_seconds);
  training_.board.set_iteration_seconds(iteration_seconds_.value());
  training_.board.set_work_seconds(work_seconds_.value());

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
    iterations_took_.add(progress.seconds);
    progress_.add(progress);
    if (callbacks_.on_iteration) callbacks_.on_iteration(progress);
  }
  return outcome;
}

SaveChoice Loop::save_choice() const {
  const auto& config = training_.config.checkpoint;
  return choose_save({.at_interval = at_.iteration % config.interval == 0,
                      .asked = save_asked_,
                      .busy = saver_.busy(),
                      .skips = config.when_busy == "skip"});
}

void Loop::save_now() {
  switch (save_choice()) {
    case SaveChoice::kNothing:
      return;
    case SaveChoice::kSkip:
      training_.log.warning("iteration " + std::to_string(at_.iteration) +
                            " is not saved: " + std::to_string(saver_.in_flight()) +
                            " still is being written (checkpoint.when_busy: skip)");
      return;
    case SaveChoice::kSave:
      break;
  }
  auto next = request();
  next.beside_training = training_.config.checkpoint.async;
  std::optional<WithinPhase> waiting;
  if (saver_.busy()) waiting.emplace(training_.board, Phase::kSave);
  if (saver_.save_or_warn(next, [this] { return interrupted(); })) save_asked_ = false;
}

bool Loop::evaluation_due() const {
  if (stop_) return false;
  const auto& interval = training_.config.evaluate.interval;
  return at_.iteration == final_ || (interval && at_.iteration % *interval == 0) ||
         (training_.config.checkpoint.keep_best && save_choice() == SaveChoice::kSave);
}

// A stop that comes while it goes on ends it without metrics.
void Loop::evaluate_now() {
  progress_.pause();
  const Metrics metrics = run_evaluation(comm_, training_, [this] { return interrupted(); });
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
  show_model();
}

// Rank 0 shows people what the model makes now; the others wait at their next collective.
void Loop::show_model() {
  if (!comm_.is_root()) return;
  const auto seed = static_cast<std::uint64_t>(training_.config.run.seed);
  try {
    const auto made =
        training_.task.show(rng_seed({.seed = seed, .iteration = at_.iteration, .rank = 0}));
    if (!made.empty()) training_.log.info("the model writes:\n" + made);
  } catch (const std::exception& error) {
    training_.log.warning(std::string("what the model makes can't be shown: ") + error.what());
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
          .last_saved = saver_.last_saved(),
          .metrics = metrics_,
          .message = std::move(message)};
}

// What a preemption leaves for the save, as rank 0 measures it: all go by the same.
double Loop::given_to_save() {
  double left = std::numeric_limits<double>::infinity();
  if (!stop_by_deadline_)
    left = static_cast<double>(training_.config.preempt.grace_seconds) - since(stop_began_);
  if (callbacks_.seconds_left) left = std::min(left, callbacks_.seconds_left());
  broadcast_bytes(comm_, std::as_writable_bytes(std::span(&left, 1)));
  return left;
}

TrainingResult Loop::stop() {
  progress_.pause();
  const std::string iteration = std::to_string(at_.iteration);
  training_.log.info(stop_reason_ + ": saving iteration " + iteration);
  std::optional<double> given;
  if (stop_ == TrainingEnd::kPreempted) given = given_to_save();
  if (saver_.save_surely(request(), given))
    return result(*stop_, stop_reason_ + ": iteration " + iteration + " is saved");
  const auto last_saved = saver_.last_saved();
  return result(*stop_, stop_reason_ + ": no time is left to save; iterations after " +
                            (last_saved ? std::to_string(*last_saved) : "the start") + " up to " +
                            iteration + " are lost");
}

TrainingResult Loop::nonfinite(const IterationOutcome& outcome) {
  progress_.pause();
  saver_.finish_or_warn();
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
    return loop.run();
  } catch (const AgreedError&) {
    loop.settle();
    throw;
  }
}

Metrics evaluate(const Comm& comm, const Training& training) {
  return run_evaluation(comm, training, [] { return false; });
}

}  // namespace lockstep
