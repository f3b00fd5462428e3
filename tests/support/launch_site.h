#pragma once

#include <functional>
#include <optional>
#include <string>

#include "coordinator/launch.h"
#include "tests/support/store_builder.h"
#include "tests/support/store_on_disk.h"

namespace lockstep::testing {

// Time that passes only when somebody waits; what happens meanwhile is the test's.
struct FakeTime {
  double now_s = 0;
  std::function<void()> meanwhile = [] {};

  Clock clock() {
    return {[this] { return now_s; },
            [this](double seconds) {
              now_s += seconds;
              meanwhile();
            }};
  }
};

inline LaunchFacts facts(const StoreOnDisk& disk, const Request& request,
                         const std::string& run = "mine") {
  auto launch = launch_of(request, run);
  launch.store_path = disk.path();
  return launch;
}

inline Decided try_it(StoreOnDisk& disk, const LaunchFacts& launch, FakeTime& time,
                      const LookOptions& options = {}) {
  return look_and_try(disk.files(), launch, time.clock(), options, [](const std::string&) {});
}

inline void beat(StoreOnDisk& disk, std::int64_t attempt, std::int64_t counter) {
  disk.files().overwrite(attempt_path(disk.path(), attempt) + "/heartbeat",
                         encode(Heartbeat{counter, 0, std::nullopt}));
}

}  // namespace lockstep::testing
