// lockstepd behind its first stage: every rank of a job runs this. The composition root:
// coordinator and worker meet here and in daemon/, nowhere else.

#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include <mpi.h>

#include "common/comm.h"
#include "common/config.h"
#include "common/error.h"
#include "common/file_system.h"
#include "common/heap.h"
#include "common/log.h"
#include "coordinator/config_loader.h"
#include "coordinator/daemon/arguments.h"
#include "coordinator/daemon/session.h"
#include "coordinator/daemon/supervision.h"
#include "coordinator/liveness.h"
#include "coordinator/watchdog/parting.h"
#include "worker/stop_signals.h"

namespace {

std::string read_config(const lockstep::Arguments& arguments) {
  return lockstep::encode(
      lockstep::load_config(arguments.config, arguments.overrides, lockstep::process_environment));
}

// Rank 0 reads the configuration before MPI_Init, by the launcher's word for who that is; an error
// is kept until all have joined, since a rank that leaves before that would leave the others
// waiting.
struct EarlyConfig {
  std::string bytes;
  std::optional<double> join_seconds;  // nullopt: not known
  std::exception_ptr error;
};

EarlyConfig read_early(const lockstep::Arguments& arguments) {
  EarlyConfig early;
  try {
    early.bytes = read_config(arguments);
    early.join_seconds = lockstep::decode_config(early.bytes).config.watchdog.join_seconds;
  } catch (...) {
    early.error = std::current_exception();
  }
  return early;
}

// A failure that can't be agreed on: the others are told by the launcher.
int abort_job(const char* what) {
  std::fprintf(stderr, "lockstepd: not agreed: %s\n", lockstep::escape_controls(what).c_str());
  MPI_Abort(MPI_COMM_WORLD, 3);
  return 3;
}

lockstep::Purpose purpose_of(const lockstep::Arguments& arguments) {
  if (arguments.check) return lockstep::Purpose::kCheck;
  return arguments.evaluate ? lockstep::Purpose::kEvaluate : lockstep::Purpose::kTrain;
}

int run(const lockstep::Arguments& arguments, std::optional<EarlyConfig> early,
        lockstep::Supervision& supervision) {
  try {
    const auto files = lockstep::make_posix_file_system();
    const auto comm = lockstep::Comm::duplicate(MPI_COMM_WORLD);
    const auto read = [&]() -> std::string {
      if (!early) early = read_early(arguments);
      if (early->error) std::rethrow_exception(early->error);
      return early->bytes;
    };
    const int code = lockstep::run_session(comm, *files, read, supervision, purpose_of(arguments));
    supervision.board.enter(lockstep::Phase::kEnd);
    std::fflush(nullptr);
    // mpirun ends all ranks within 2 s of the first non-zero exit: nobody leaves before all are
    // here.
    lockstep::barrier(comm);
    supervision.note->done = code == 0;
    return code;
  } catch (const std::exception& e) {
    return abort_job(e.what());
  }
}

// All ranks agree on `code`, and the outcome is written. The launcher ends all ranks soon after the
// first that leaves with another code than 0, so nobody waits for long then. With 0 it waits for
// all, and for ever for one that is stopped: so nobody leaves before all can.
void end_mpi(int code, const std::string& who, lockstep::Supervision& supervision) {
  constexpr double kSeconds = 10;
  constexpr double kSecondsOfLibraries = 60;  // a profiler may have much to write
  if (code != 0) {
    lockstep::leave_within(kSeconds, code, who);
    supervision.watchdog.reset();
  }
  MPI_Finalize();
  if (code != 0) return;
  if (supervision.watchdog) supervision.watchdog->leave_with_others();
  lockstep::leave_within(kSecondsOfLibraries, code, who);
}

}  // namespace

int main(int argc, char** argv) {
  lockstep::share_heap_arenas();
  lockstep::watch_stop_signals();
  // Output that nobody reads any more must not cost the work.
  std::signal(SIGPIPE, SIG_IGN);
  const int launcher_rank = lockstep::rank_by_launcher();
  const auto arguments = lockstep::parse_arguments(argc, argv);
  if (arguments.exit_code) {
    if (launcher_rank == 0)
      std::fputs(arguments.text.c_str(), *arguments.exit_code == 0 ? stdout : stderr);
    return *arguments.exit_code;
  }
  const auto limit =
      lockstep::join_seconds_before_configuration(lockstep::WatchdogConfig().join_seconds);
  const auto host = lockstep::this_process().host;
  const auto who = "rank " + std::to_string(launcher_rank) + " (" + host + ")";
  if (!limit) {
    // Each for itself: a host's own shell may set it.
    std::fprintf(stderr, "lockstepd: %s: LOCKSTEP_JOIN_SECONDS is no number of seconds above 0\n",
                 lockstep::escape_controls(who).c_str());
    return 2;
  }
  lockstep::Supervision supervision;
  supervision.launch = std::make_unique<lockstep::LaunchGuard>(
      lockstep::LaunchGuard::Self{launcher_rank, host}, *limit, lockstep::make_pmix_sight());
  std::optional<EarlyConfig> early;
  if (launcher_rank == 0) early = read_early(arguments);
  if (early && early->join_seconds) supervision.launch->set_limit(*early->join_seconds);
  supervision.launch->wait_for_others();
  int provided = 0;
  // FUNNELED: the threads of watchdog, heartbeat and retention never call MPI.
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  const int code = run(arguments, std::move(early), supervision);
  end_mpi(code, who, supervision);
  return code;
}
