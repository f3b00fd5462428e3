#include "coordinator/daemon/job_status.h"

#include <exception>
#include <utility>

#include "common/error.h"
#include "common/file_system.h"
#include "common/names.h"
#include "coordinator/liveness.h"
#include "coordinator/status/status_wish.h"

namespace lockstep {

namespace {

void say_where(const ListenAddress& address, const Log& log) {
  const auto where = address.is_unix() ? to_text(address) + ", for its owner alone"
                                       : "http://" + to_text(address) + "/, for this host's users";
  log.info("status: " + where +
           "; from elsewhere: " + way_from_elsewhere(address, this_process().host));
}

}  // namespace

bool shows_status(const LoadedConfig& loaded) {
  return status_wish(loaded).any();
}

std::unique_ptr<StatusService> show_status(const LoadedConfig& loaded, const std::string& store,
                                           std::int64_t attempt, const JobBoard& figures,
                                           const Log& log) {
  auto wish = status_wish(loaded);
  if (!wish.any()) return nullptr;
  for (const auto& taken : take_back_within(store, wish))
    log.warning(taken);
  StatusSetup setup;
  setup.store = store;
  setup.listen = wish.listen;
  setup.textfile = wish.textfile;
  setup.textfile_period_s = loaded.config.watchdog.heartbeat_seconds;
  setup.control_file = attempt_path(store, attempt) + "/control.json";
  setup.job = &figures;
  setup.warn = [&log](const std::string& what) { log.warning(what); };
  setup.listens = [&log](const ListenAddress& address) { say_where(address, log); };
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
