#include "worker/saver.h"

#include <algorithm>
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

double Saver::since_last_s() const {
  return std::chrono::duration<double>(Clock::now() - last_try_).count();
}

void Saver::save(const SaveRequest& request) {
  last_try_ = Clock::now();
  save_(request);
  took_.add(since_last_s());
  last_saved_ = request.iteration;
  last_try_ = Clock::now();
  failed_ = 0;
}

void Saver::save_or_warn(const SaveRequest& request) {
  try {
    save(request);
  } catch (const AgreedError& error) {
    ++failed_;
    const auto most = config_.checkpoint.max_failures;
    if (error.code() != ErrorCode::kIo || failed_ >= most) throw;
    log_.warning("iteration " + std::to_string(request.iteration) + " is not saved (failure " +
                 std::to_string(failed_) + " in a row, the run ends at " + std::to_string(most) +
                 "): " + error.what());
    last_try_ = Clock::now();
  }
}

bool Saver::save_surely(const SaveRequest& request, std::optional<double> given_s) {
  std::optional<Clock::time_point> end;
  if (given_s) end = Clock::now() + seconds(*given_s - drop_margin(*given_s));
  auto timed = request;
  // Each rank by its own clock: the first that is out of time fails the save for all.
  if (given_s && *given_s > 0) timed.time_is_over = [end] { return Clock::now() >= *end; };
  for (std::int64_t failures = 1;; ++failures) {
    std::string why;
    try {
      save(timed);
      return true;
    } catch (const AgreedError& error) {
      if (error.code() != ErrorCode::kIo || failures > config_.checkpoint.max_failures) throw;
      why = error.what();
    }
    const bool again = may_try_again(failures, end);
    log_.warning("iteration " + std::to_string(request.iteration) + " is not saved" +
                 (again ? ", trying again: " : ": ") + why);
    if (!again) return false;
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
