#include "coordinator/daemon/job_status.h"

#include <exception>
#include <utility>

#include "common/error.h"
#include "common/file_system.h"
#include "common/names.h"
#include "coordinator/liveness.h"

namespace lockstep {

namespace {

std::optional<ListenAddress> wanted_address(const LoadedConfig& loaded) {
  auto address = parse_listen_address(loaded.config.control_listen);
  if (address && loaded.paths.socket) address->socket_path = *loaded.paths.socket;
  return address;
}

void say_where(const ListenAddress& address, const Log& log) {
  const auto where = address.is_unix() ? to_text(address) + ", for its owner alone"
                                       : "http://" + to_text(address) + "/, for this host's users";
  log.info("status: " + where +
           "; from elsewhere: " + way_from_elsewhere(address, this_process().host));
}

// There a name may mean something: a socket attempts/0002 would be somebody's claim.
void refuse_within_store(StatusSetup& setup, const Log& log) {
  const auto is_within = [&setup](const std::string& path) {
    return path.starts_with(setup.store + "/");
  };
  if (is_within(setup.textfile)) {
    log.warning(
        "metrics.textfile lies in the store, where lockstep alone writes; name another path");
    setup.textfile.clear();
  }
  if (setup.listen && is_within(setup.listen->socket_path)) {
    log.warning(
        "control.listen: the socket lies in the store, where lockstep alone writes; name another "
        "path");
    setup.listen.reset();
  }
}

}  // namespace

bool shows_status(const LoadedConfig& loaded) {
  return wanted_address(loaded) || loaded.paths.textfile;
}

std::unique_ptr<StatusService> show_status(const LoadedConfig& loaded, const std::string& store,
                                           std::int64_t attempt, const JobBoard& figures,
                                           const Log& log) {
  if (!shows_status(loaded)) return nullptr;
  StatusSetup setup;
  setup.store = store;
  setup.listen = wanted_address(loaded);
  setup.textfile = loaded.paths.textfile.value_or("");
  setup.textfile_period_s = loaded.config.watchdog.heartbeat_seconds;
  setup.control_file = attempt_path(store, attempt) + "/control.json";
  setup.job = &figures;
  setup.warn = [&log](const std::string& what) { log.warning(what); };
  setup.listens = [&log](const ListenAddress& address) { say_where(address, log); };
  refuse_within_store(setup, log);
  // Files of its own: what the watchdog counts is the training's.
  try {
    return std::make_unique<StatusService>(make_posix_file_system(), std::move(setup));
  } catch (const std::exception& e) {
    log.warning(std::string("status can't be shown: ") + e.what() +
                "; training goes on without it");
    return nullptr;
  }
}

}  // namespace lockstep
