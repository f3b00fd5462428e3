#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config.h"
#include "coordinator/preflight.h"
#include "coordinator/status/listen_address.h"

namespace lockstep {

// What a configuration asks to be shown of a job: control.listen, metrics.textfile.
struct StatusWish {
  std::optional<ListenAddress> listen;  // nullopt: nobody is served
  std::string textfile;                 // "": none

  bool any() const { return listen || !textfile.empty(); }
};

// Pure.
StatusWish status_wish(const LoadedConfig& loaded);

// Pure: takes back what lies in `store`, its real path: there a name may mean something, a socket
// attempts/0002 would be somebody's claim. What was taken back: cause and advice, a line each.
std::vector<std::string> take_back_within(const std::string& store, StatusWish& wish);

// Local: whether this host can give what is asked for, tried and removed again; one check for each.
// What can't be had is a warning: a job trains without it.
std::vector<Check> probe_status(const LoadedConfig& loaded, const std::string& store);

}  // namespace lockstep
