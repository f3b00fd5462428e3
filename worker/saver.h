#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "common/comm.h"
#include "common/config.h"
#include "common/log.h"
#include "worker/stop_time.h"
#include "worker/training_loop.h"

namespace lockstep {

// How the training loop saves: what a failure costs, how often it is tried again, how long it took.
// Equal on all ranks but for times, by which only rank 0 decides.
class Saver {
 public:
  Saver(const Comm& comm, const Config& config, const Log& log,
        std::function<void(const SaveRequest&)> save)
      : comm_(comm), config_(config), log_(log), save_(std::move(save)) {}

  // All: Collective.

  // A save in the midst of training: a failure is a warning, the next one may succeed.
  // checkpoint.max_failures of them in a row are thrown: AgreedError, as what is not kIo.
  void save_or_warn(const SaveRequest& request);

  // The last save or a stop's: tried again max_failures times, then AgreedError. `given_s`: how
  // long a stop's may take, from now; false: it was dropped, on all ranks together, because the
  // time is nearly over. Where nothing is given the save is begun nevertheless, and tried once.
  bool save_surely(const SaveRequest& request, std::optional<double> given_s = {});

  // Local.
  std::optional<std::int64_t> last_saved() const { return last_saved_; }  // by this Saver
  double since_last_s() const;  // since the last try, or since it was made
  std::optional<double> takes_s() const { return took_.value(); }  // a save, of late

 private:
  using Clock = std::chrono::steady_clock;
  void save(const SaveRequest& request);
  bool may_try_again(std::int64_t failures, const std::optional<Clock::time_point>& end);

  const Comm& comm_;
  const Config& config_;
  const Log& log_;
  const std::function<void(const SaveRequest&)> save_;
  std::optional<std::int64_t> last_saved_;
  std::int64_t failed_ = 0;  // in a row
  RecentLongest took_;
  Clock::time_point last_try_ = Clock::now();
};

}  // namespace lockstep
