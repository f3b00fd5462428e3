#include "worker/saver.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <thread>

#include "common/agree.h"

namespace lockstep {

namespace {

std::chrono::steady_clock::duration seconds(double value) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(value));
}

}  // namespace

SaveChoice choose_save(const SaveSituation& situation) {
  if (!situation.at_interval && !situation.asked) return SaveChoice::kNothing;
  if (!situation.busy || !situation.skips) return SaveChoice::kSave;
  // What was asked for is made as soon as the one in flight is through.
  return situation.at_interval ? SaveChoice::kSkip : SaveChoice::kNothing;
}

double Saver::since_last_s() const {
  return std::chrono::duration<double>(Clock::now() - last_try_).count();
}

void Saver::begin(const SaveRequest& request) {
  last_try_ = Clock::now();
  in_flight_ = request.iteration;
  pending_ = begin_(request);
}

void Saver::finish(const TimeIsOver& time_is_over) {
  pending_->finish(time_is_over);
  note_saved();
}

void Saver::note_saved() {
  took_.add(since_last_s());
  last_saved_ = in_flight_;
  failed_ = 0;
  pending_.reset();
}

template <typename Step>
void Saver::step_or_warn(Step step) {
  try {
    step();
  } catch (const AgreedError& error) {
    pending_.reset();
    const auto most = config_.checkpoint.max_failures;
    if (error.code() != ErrorCode::kIo) throw;
    const bool ends = ++failed_ >= most;
    warn(" is not saved (failure " + std::to_string(failed_) + " in a row, the run ends at " +
             std::to_string(most) + ")" + (ends ? "; " + lost() : ""),
         error);
    if (ends) throw;
  }
}

// What ends with the run where the save in flight has failed.
std::string Saver::lost() const {
  return "iterations after " + (last_saved_ ? std::to_string(*last_saved_) : "the start") +
         " are lost";
}

void Saver::warn(const std::string& what, const AgreedError& error) const {
  log_.warning("iteration " + std::to_string(in_flight_) + what + ": " + error.what());
}

bool Saver::save_or_warn(const SaveRequest& request, const std::function<bool()>& interrupted) {
  if (!wait_for_the_last(request, interrupted)) return false;
  step_or_warn([&] {
    begin(request);
    if (!request.beside_training) finish({});
  });
  return true;
}

void Saver::hear(const TickVerdict& verdict) {
  if (!busy()) return;
  if (verdict.save_failed_rank) pending_->give_up();
  if (verdict.save_under_way_rank) return;
  step_or_warn([&] {
    if (pending_->advance()) note_saved();
  });
}

void Saver::finish_or_warn() {
  if (busy()) step_or_warn([&] { finish({}); });
}

// checkpoint.when_busy: wait. By ticks, so that a stop is heard meanwhile.
bool Saver::wait_for_the_last(const SaveRequest& next, const std::function<bool()>& interrupted) {
  constexpr double kWorthTelling = 0.1;
  const auto before = in_flight_;
  const auto began = Clock::now();
  while (busy()) {
    pending_->rest();
    if (interrupted()) return false;
  }
  const std::chrono::duration<double> took = Clock::now() - began;
  if (took.count() < kWorthTelling) return true;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", took.count());
  log_.info("iteration " + std::to_string(next.iteration) + " is due to be saved while " +
            std::to_string(before) + " still was being written: training waited " + text.data());
  return true;
}

void Saver::vote(TickVote& vote) const {
  if (!busy()) return;
  vote.save_under_way = pending_->under_way();
  vote.save_failed = pending_->failed();
}

void Saver::await_snapshot() {
  if (busy()) pending_->await_snapshot();
}

bool Saver::save_surely(const SaveRequest& request, std::optional<double> given_s) {
  std::optional<Clock::time_point> end;
  if (given_s) end = Clock::now() + seconds(*given_s - drop_margin(*given_s));
  // Each rank by its own clock: the first that is out of time fails the save for all.
  TimeIsOver time_is_over;
  if (given_s && *given_s > 0) time_is_over = [end] { return Clock::now() >= *end; };
  // What is nearly done is worth more than what is not begun.
  if (busy()) try {
      finish(time_is_over);
    } catch (const AgreedError& error) {
      pending_.reset();
      if (error.code() != ErrorCode::kIo) throw;
      warn(" is not saved", error);
    }
  for (std::int64_t failures = 1;; ++failures) {
    try {
      begin(request);
      finish(time_is_over);
      return true;
    } catch (const AgreedError& error) {
      pending_.reset();
      if (error.code() != ErrorCode::kIo) throw;
      if (failures > config_.checkpoint.max_failures) {
        warn(" is not saved in " + std::to_string(failures) + " tries; " + lost(), error);
        throw;
      }
      const bool again = may_try_again(failures, end);
      warn(again ? " is not saved, trying again" : " is not saved", error);
      if (!again) return false;
    }
  }
}

// Waits a little. False where the time is over, as rank 0 measures it.
bool Saver::may_try_again(std::int64_t failures, const std::optional<Clock::time_point>& end) {
  const auto answer = root_decides(comm_, "save again", [&] {
    const auto wait = seconds(std::min(0.1 * static_cast<double>(failures), 1.0));
    if (end && Clock::now() + wait > *end) return std::string("no");
    std::this_thread::sleep_for(wait);
    return std::string("yes");
  });
  return answer == "yes";
}

}  // namespace lockstep
