#include "worker/loop_control.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "worker/stop_signals.h"

namespace lockstep {
namespace {

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

LoopControl::LoopControl(const Comm& comm, const Config& config, const Log& log,
                         ProgressBoard& board, const TrainingCallbacks& callbacks)
    : comm_(comm),
      config_(config),
      log_(log),
      board_(board),
      callbacks_(callbacks),
      tick_(comm),
      saver_(comm, config, log, callbacks.save),
      left_at_start_(callbacks.seconds_left ? callbacks.seconds_left() : 0) {}

TickVote LoopControl::vote() {
  TickVote vote;
  saver_.vote(vote);
  if (callbacks_.stop_signal) vote.signal = callbacks_.stop_signal();
  if (!comm_.is_root()) return vote;
  vote.stop = callbacks_.stop_requested && callbacks_.stop_requested();
  vote.save = callbacks_.save_requested && callbacks_.save_requested();
  const auto& minutes = config_.checkpoint.minutes;
  vote.save = vote.save || (minutes && saver_.since_last_s() >= 60 * *minutes);
  vote.deadline = deadline_near();
  return vote;
}

bool LoopControl::deadline_near() {
  if (!callbacks_.seconds_left) return false;
  auto save = saver_.takes_s() ? saver_.takes_s() : callbacks_.expected_save_seconds;
  if (save && saver_.busy()) *save *= 2;  // the one in flight is finished first
  return deadline_due({.now = callbacks_.seconds_left(),
                       .at_start = left_at_start_,
                       .save = save,
                       .iteration = iterations_took_.value().value_or(0),
                       .grace = static_cast<double>(config_.preempt.grace_seconds)});
}

void LoopControl::hear(const TickVerdict& verdict) {
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

bool LoopControl::interrupted() {
  tick_.start(vote());
  hear(tick_.finish());
  return stop_.has_value();
}

SaveChoice LoopControl::save_choice(std::int64_t iteration) const {
  const auto& config = config_.checkpoint;
  return choose_save({.at_interval = iteration % config.interval == 0,
                      .asked = save_asked_,
                      .busy = saver_.busy(),
                      .skips = config.when_busy == "skip"});
}

void LoopControl::save_if_due(SaveRequest request) {
  switch (save_choice(request.iteration)) {
    case SaveChoice::kNothing:
      return;
    case SaveChoice::kSkip:
      log_.warning("iteration " + std::to_string(request.iteration) +
                   " is not saved: " + std::to_string(saver_.in_flight()) +
                   " still is being written (checkpoint.when_busy: skip)");
      return;
    case SaveChoice::kSave:
      break;
  }
  request.beside_training = config_.checkpoint.async;
  std::optional<WithinPhase> waiting;
  if (saver_.busy()) waiting.emplace(board_, Phase::kSave);
  if (saver_.save_or_warn(request, [this] { return interrupted(); })) save_asked_ = false;
}

// What a preemption leaves for the save, as rank 0 measures it: all go by the same.
double LoopControl::given_to_save() {
  double left = std::numeric_limits<double>::infinity();
  if (!stop_by_deadline_)
    left = static_cast<double>(config_.preempt.grace_seconds) - since(stop_began_);
  if (callbacks_.seconds_left) left = std::min(left, callbacks_.seconds_left());
  broadcast_bytes(comm_, std::as_writable_bytes(std::span(&left, 1)));
  return left;
}

LoopControl::Stopped LoopControl::stop(const SaveRequest& request) {
  const std::string iteration = std::to_string(request.iteration);
  log_.info(stop_reason_ + ": saving iteration " + iteration);
  std::optional<double> given;
  if (stop_ == TrainingEnd::kPreempted) given = given_to_save();
  if (saver_.save_surely(request, given))
    return {*stop_, stop_reason_ + ": iteration " + iteration + " is saved"};
  const auto last_saved = saver_.last_saved();
  return {*stop_, stop_reason_ + ": no time is left to save; iterations after " +
                      (last_saved ? std::to_string(*last_saved) : "the start") + " up to " +
                      iteration + " are lost"};
}

LoopControl::Stopped LoopControl::stop_unsaved() const {
  return {*stop_, stop_reason_ + " before the first iteration: nothing new to save"};
}

void LoopControl::settle() {
  try {
    saver_.finish_or_warn();
  } catch (const AgreedError&) {  // NOLINT(bugprone-empty-catch)
    // The first error is the one to tell.
  }
}

}  // namespace lockstep
