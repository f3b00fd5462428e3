#include "tests/model/sleeper.h"

#include "common/attempt_records.h"
#include "tests/model/gate.h"

namespace lockstep::model {

constexpr std::int64_t kToTheEnd = INT64_MAX;

Sleeper::Sleeper(World& world, const Plan& plan, const Steps& steps)
    : job_(world, plan, steps, [this](const Moment& moment) { before_operation(moment); }) {
  thread_ = std::thread([this] {
    job_.run();
    ended_ = true;
    stopped_.release();
  });
  stopped_.acquire();
}

Sleeper::~Sleeper() {
  if (!ended_) kill();
  thread_.join();
}

void Sleeper::before_operation(const Moment& moment) {
  if (killed_) throw Crash{};
  const bool stops = left_ ? --*left_ <= 0 : moment == job_.plan().sleep_at;
  if (!stops) return;
  job_.note_sleep();
  stopped_.release();
  go_.acquire();
  if (killed_) throw Crash{};
}

void Sleeper::wake(std::int64_t operations) {
  if (ended_) return;
  left_ = operations;
  go_.release();
  stopped_.acquire();
}

void Sleeper::kill() {
  killed_ = true;
  wake(kToTheEnd);
}

void Sleeper::beat() {
  if (!ended_) job_.beat_from_outside();
}

}  // namespace lockstep::model
