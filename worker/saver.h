#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/comm.h"
#include "common/config.h"
#include "common/error.h"
#include "common/log.h"
#include "worker/stop_time.h"
#include "worker/tick.h"
#include "worker/training_loop.h"

namespace lockstep {

enum class SaveChoice : std::uint8_t {
  kNothing,
  kSave,  // where one is in flight, it is waited for first
  kSkip,  // said in the log
};
struct SaveSituation {
  bool at_interval = false;  // checkpoint.interval has come round
  bool asked = false;        // by a person or checkpoint.minutes: until it is made
  bool busy = false;         // one is in flight
  bool skips = false;        // checkpoint.when_busy: skip
};
// Pure: whether to save now.
SaveChoice choose_save(const SaveSituation& situation);

// How the training loop saves: beside training or not, what a failure costs, how often it is tried
// again, how long it took. Equal on all ranks but for times, by which only rank 0 decides.
class Saver {
 public:
  Saver(const Comm& comm, const Config& config, const Log& log,
        std::function<std::unique_ptr<PendingSave>(const SaveRequest&)> begin)
      : comm_(comm), config_(config), log_(log), begin_(std::move(begin)) {}

  // All: Collective. In all of them a save that fails is a warning, the next one may succeed;
  // checkpoint.max_failures of them in a row are thrown: AgreedError, as what is not kIo.

  // A save in the midst of training; one that is in flight is waited for first, with a tick now and
  // then: `interrupted` makes one, hears it, and says whether training shall stop; then this is not
  // begun. Whether it was.
  bool save_or_warn(const SaveRequest& request, const std::function<bool()>& interrupted);
  // Carries the save in flight on, by what all have said of it in a tick.
  void hear(const TickVerdict& verdict);
  // Waits for the save in flight; where none is, nothing is done.
  void finish_or_warn();

  // The last save or a stop's, after the one in flight: tried again max_failures times, then
  // AgreedError. `given_s`: how long a stop's may take, from now; false: it was dropped, on all
  // ranks together, because the time is nearly over. Where nothing is given the save is begun
  // nevertheless, and tried once.
  bool save_surely(const SaveRequest& request, std::optional<double> given_s = {});

  // Local.
  bool busy() const { return pending_ != nullptr; }  // equal on all ranks
  void vote(TickVote& vote) const;  // what this rank has to say of the one in flight
  void await_snapshot();            // before the state changes
  std::int64_t in_flight() const { return in_flight_; }  // its iteration, where busy
  std::optional<std::int64_t> last_saved() const { return last_saved_; }  // by this Saver
  double since_last_s() const;  // since the last try was begun, or since it was made
  std::optional<double> takes_s() const { return took_.value(); }  // a save, of late

 private:
  using Clock = std::chrono::steady_clock;
  using TimeIsOver = std::function<bool()>;
  template <typename Step>
  void step_or_warn(Step step);
  void begin(const SaveRequest& request);
  void finish(const TimeIsOver& time_is_over);
  void note_saved();
  void warn(const std::string& what, const AgreedError& error) const;
  std::string lost() const;
  bool wait_for_the_last(const SaveRequest& next, const std::function<bool()>& interrupted);
  bool may_try_again(std::int64_t failures, const std::optional<Clock::time_point>& end);

  const Comm& comm_;
  const Config& config_;
  const Log& log_;
  const std::function<std::unique_ptr<PendingSave>(const SaveRequest&)> begin_;
  std::unique_ptr<PendingSave> pending_;
  std::int64_t in_flight_ = 0;
  std::optional<std::int64_t> last_saved_;
  std::int64_t failed_ = 0;  // in a row
  RecentLongest took_;
  Clock::time_point last_try_ = Clock::now();
};

}  // namespace lockstep
