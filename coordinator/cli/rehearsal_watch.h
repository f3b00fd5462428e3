#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/attempt_records.h"
#include "common/file_system.h"
#include "coordinator/cli/launched.h"

namespace lockstep::cli {

struct Stage {
  FileSystem& files;
  const HeldSignals& held;
  std::vector<std::string> launcher;   // words
  std::string config;                  // file, as given
  std::vector<std::string> overrides;  // the user's
  std::string scratch;                 // the folder for stores and logs
  double limit_seconds = 0;            // without a new iteration
  std::function<void(const std::string&)> say;
};

// What a store shows of the attempt that a launch has made.
struct Sight {
  std::int64_t attempt = 0;
  std::optional<Heartbeat> beat;
  std::optional<std::int64_t> restored;  // nullopt: not decided yet
  bool over = false;                     // it has an outcome
};

// One launch, from outside.
struct Launch {
  int code = 0;
  Sight last;  // what was seen at its end
  bool struck = false;
  std::optional<double> first_s;  // from its start to its first new iteration
  std::optional<double> over_s;   // ... to its outcome
};

// What interrupts it, and when.
struct Strike {
  std::function<bool(const Heartbeat&)> is_due;
  std::function<void(Launched&, std::int64_t attempt)> hit;
  bool kills = false;
};

// What is looked at: a launch by its name, in a store whose newest attempt was `after` before.
struct Watched {
  std::string name;  // "cut, launch 1"
  std::string store;
  std::int64_t after = 0;
  std::int64_t end = 0;  // the iteration at which it ends
};

// Local: looks on until `launched` has ended, and strikes when it is time. How far it is, is shown
// on stderr. Error(kIo) where it stands still; Interrupted.
Launch watch_launch(const Stage& stage, const Watched& watched, const Strike& strike,
                    Launched& launched);

}  // namespace lockstep::cli
