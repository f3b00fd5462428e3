#include "coordinator/daemon/program.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>

#include <mpi.h>
#include <unistd.h>

#include "common/comm.h"
#include "common/config.h"
#include "common/error.h"
#include "common/file_system.h"
#include "common/heap.h"
#include "common/log.h"
#include "coordinator/config_loader.h"
#include "coordinator/daemon/arguments.h"
#include "coordinator/daemon/lone_failure.h"
#include "coordinator/daemon/session.h"
#include "coordinator/daemon/supervision.h"
#include "coordinator/liveness.h"
#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/parting.h"
#include "worker/accelerator.h"
#include "worker/stop_signals.h"

namespace lockstep {

namespace {

std::string read_config(const Arguments& arguments) {
  return encode(load_config(arguments.config, arguments.overrides, process_environment));
}

// Rank 0 reads the configuration before MPI_Init, by the launcher's word for who that is; an error
// is kept until all have joined, since a rank that leaves before that would leave the others
// waiting.
struct EarlyConfig {
  std::string bytes;
  std::optional<double> join_seconds;  // nullopt: not known
  std::exception_ptr error;
};

EarlyConfig read_early(const Arguments& arguments) {
  EarlyConfig early;
  try {
    early.bytes = read_config(arguments);
    early.join_seconds = decode_config(early.bytes).config.watchdog.join_seconds;
  } catch (...) {
    early.error = std::current_exception();
  }
  return early;
}

// What a process needs to know at its exit().
struct JobEnd {
  std::atomic<bool> reached = false;  // by lockstep's own way: whoever exits then may do so
  pid_t process = ::getpid();         // a child that a library forks has no job to end
  std::string who;
};

// Called by exit(). A job that ends in the midst with 0 would pass for one that is done.
void on_exit_of(int status, void* of) {
  constexpr int kLowBits = 0xff;  // all that a parent gets to see
  constexpr int kUnknown = 3;
  const auto& end = *static_cast<const JobEnd*>(of);
  if (end.reached || end.process != ::getpid()) return;
  const int code = (status & kLowBits) == 0 ? kUnknown : status;
  std::array<char, 600> line{};
  std::snprintf(line.data(), line.size(),
                "lockstepd: %.400s: something called exit(%d) in the midst of the job: a task or a "
                "library of it; leaves with exit code %d\n",
                end.who.c_str(), status, code & kLowBits);
  write_to_stderr(line.data());
  std::fflush(nullptr);  // as exit() would have done
  ::_exit(code);
}

// What exit() calls can't be taken back: what is given lives as long as the process.
JobEnd& watch_exit(const std::string& who) {
  auto* end = new JobEnd;  // NOLINT(cppcoreguidelines-owning-memory)
  end->who = escape_controls(who);
  ::on_exit(on_exit_of, end);
  return *end;
}

// A failure that can't be agreed on: the others are told by the launcher.
int abort_job(int code, const std::string& what, JobEnd& end) {
  std::fprintf(stderr, "lockstepd: %s\n", escape_controls(what).c_str());
  end.reached = true;  // MPI_Abort may call exit()
  MPI_Abort(MPI_COMM_WORLD, code);
  return code;
}

Purpose purpose_of(const Arguments& arguments) {
  if (arguments.check) return Purpose::kCheck;
  return arguments.evaluate ? Purpose::kEvaluate : Purpose::kTrain;
}

int run(const Arguments& arguments, std::optional<EarlyConfig> early, Supervision& supervision,
        const OwnBody& own, JobEnd& end) {
  try {
    const auto files = make_posix_file_system();
    const auto comm = Comm::duplicate(MPI_COMM_WORLD);
    const auto read = [&]() -> std::string {
      if (!early) early = read_early(arguments);
      if (early->error) std::rethrow_exception(early->error);
      return early->bytes;
    };
    const int code = run_session(comm, *files, read, supervision, purpose_of(arguments),
                                 RunsOn::kOwnThread, own);
    supervision.board.enter(Phase::kEnd);
    std::fflush(nullptr);
    // mpirun ends all ranks within 2 s of the first non-zero exit: nobody leaves before all are
    // here.
    barrier(comm);
    supervision.note->done = code == 0;
    end.reached = true;
    return code;
  } catch (const LoneFailure& e) {
    return abort_job(e.exit_code(), e.what(), end);
  } catch (const std::exception& e) {
    return abort_job(3, std::string("not agreed: ") + e.what(), end);
  }
}

// All ranks agree on `code`, and the outcome is written. The launcher ends all ranks soon after the
// first that leaves with another code than 0, so nobody waits for long then. With 0 it waits for
// all, and for ever for one that is stopped: so nobody leaves before all can.
void end_mpi(int code, const std::string& who, Supervision& supervision) {
  constexpr double kSeconds = 10;
  constexpr double kSecondsOfLibraries = 60;  // a profiler may have much to write
  if (code != 0) {
    leave_within(kSeconds, code, who);
    supervision.watchdog.reset();
  }
  MPI_Finalize();
  if (code != 0) return;
  if (supervision.watchdog) supervision.watchdog->leave_with_others();
  leave_within(kSecondsOfLibraries, code, who);
}

}  // namespace

int run_program(int argc, char** argv, const OwnBody& own) {
  share_heap_arenas();
  set_gpu_environment();
  watch_stop_signals();
  // Output that nobody reads any more must not cost the work.
  std::signal(SIGPIPE, SIG_IGN);
  // A limit on the size of files fails a save, as a full disk does.
  std::signal(SIGXFSZ, SIG_IGN);
  const int launcher_rank = rank_by_launcher();
  const auto arguments = parse_arguments(argc, argv, own != nullptr);
  if (arguments.exit_code) {
    if (launcher_rank == 0)
      std::fputs(arguments.text.c_str(), *arguments.exit_code == 0 ? stdout : stderr);
    return *arguments.exit_code;
  }
  const auto limit = join_seconds_before_configuration(WatchdogConfig().join_seconds);
  const auto host = this_process().host;
  const auto who = "rank " + std::to_string(launcher_rank) + " (" + host + ")";
  if (!limit) {
    // Each for itself: a host's own shell may set it.
    std::fprintf(stderr, "lockstepd: %s: LOCKSTEP_JOIN_SECONDS is no number of seconds above 0\n",
                 escape_controls(who).c_str());
    return 2;
  }
  Supervision supervision;
  supervision.launch = std::make_unique<LaunchGuard>(LaunchGuard::Self{launcher_rank, host}, *limit,
                                                     make_pmix_sight());
  std::optional<EarlyConfig> early;
  if (launcher_rank == 0) early = read_early(arguments);
  if (early && early->join_seconds) supervision.launch->set_limit(*early->join_seconds);
  supervision.launch->wait_for_others();
  int provided = 0;
  // FUNNELED: the threads of watchdog, heartbeat and retention never call MPI.
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  // After MPI and before plugins: what they leave to be done at exit() comes before, MPI's after.
  const int code = run(arguments, std::move(early), supervision, own, watch_exit(who));
  end_mpi(code, who, supervision);
  return code;
}

}  // namespace lockstep
