// Preloaded into the ranks of a job. In rank LOCKSTEP_FAULT_RANK a fault comes right before a call
// of it, on any thread, so that it is surely in the phase that makes this call. LOCKSTEP_FAULT_AT
// names the calls that lead there, in their order and with others between them, each by its
// function and, where that has a path, a part of it: "MPI_Comm_split_type open:/shard-". The last
// thing of MPI is "behind:MPI_Finalize".
//
// LOCKSTEP_FAULT is what comes:
//   kill, stop  SIGKILL or SIGSTOP to its own process
//   freeze      the file system LOCKSTEP_FAULT_DISK is frozen, and the call made
//   hold        the call is made once LOCKSTEP_FAULT_NOTE is gone
// It comes LOCKSTEP_FAULT_TIMES times, each time at the end of the whole way.
// Before it the file LOCKSTEP_FAULT_NOTE is made, with the seconds of the monotonic clock in it.

#include <array>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <linux/fs.h>
#include <mpi.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/preloaded.h"

namespace {

using lockstep::testing::real;
using lockstep::testing::variable;

void write_note(const std::string& path) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  std::array<char, 40> text{};
  const int size = std::snprintf(text.data(), text.size(), "%lld.%09ld\n",
                                 static_cast<long long>(now.tv_sec), now.tv_nsec);
  const int fd = real<int(const char*, int, ...)>("open")(
      path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || ::write(fd, text.data(), static_cast<std::size_t>(size)) != size) std::abort();
  ::close(fd);
}

void freeze(const std::string& disk) {
  const int fd = real<int(const char*, int, ...)>("open")(disk.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::ioctl(fd, FIFREEZE, 0) != 0) std::abort();
  ::close(fd);
}

void do_fault() {
  constexpr useconds_t kUntilToldUs = 250'000;
  constexpr useconds_t kLookUs = 5'000;
  const auto fault = variable("LOCKSTEP_FAULT");
  const auto note = variable("LOCKSTEP_FAULT_NOTE");
  write_note(note);
  if (fault == "kill") ::kill(::getpid(), SIGKILL);
  if (fault == "stop") {
    // What is known last of a rank is what is said of it: its watchdog tells the phase first.
    ::usleep(kUntilToldUs);
    ::kill(::getpid(), SIGSTOP);
  }
  if (fault == "freeze") freeze(variable("LOCKSTEP_FAULT_DISK"));
  if (fault == "hold")
    while (::access(note.c_str(), F_OK) == 0)
      ::usleep(kLookUs);
}

std::vector<std::string> way_there() {
  std::vector<std::string> calls;
  if (variable("LOCKSTEP_FAULT_RANK") != variable("OMPI_COMM_WORLD_RANK")) return calls;
  std::istringstream words(variable("LOCKSTEP_FAULT_AT"));
  for (std::string word; words >> word;)
    calls.push_back(word);
  return calls;
}

// Whether this call is the last of the way.
bool arrives(std::string_view function, std::string_view path) {
  static const auto kCalls = way_there();
  static auto times = std::strtol(variable("LOCKSTEP_FAULT_TIMES").c_str(), nullptr, 10);
  static std::size_t next = 0;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (kCalls.empty() || times == 0) return false;
  const std::string_view call = kCalls[next];
  const auto colon = call.find(':');
  if (call.substr(0, colon) != function) return false;
  if (colon != std::string_view::npos &&
      path.find(call.substr(colon + 1)) == std::string_view::npos)
    return false;
  if (++next < kCalls.size()) return false;
  next = 0;
  --times;
  return true;
}

void before(std::string_view function, const char* path = "") {
  if (arrives(function, path)) do_fault();  // other threads go on
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : mode_t{0};
  va_end(more);
  before("open", path);
  return real<int(const char*, int, ...)>("open")(path, flags, mode);
}

int mkdir(const char* path, mode_t mode) noexcept {
  before("mkdir", path);
  return real<int(const char*, mode_t)>("mkdir")(path, mode);
}

int rename(const char* from, const char* to) noexcept {
  before("rename", to);
  return real<int(const char*, const char*)>("rename")(from, to);
}

int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  before("MPI_Init_thread");
  return PMPI_Init_thread(argc, argv, required, provided);
}

int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm* made) {
  before("MPI_Comm_split_type");
  return PMPI_Comm_split_type(comm, type, key, info, made);
}

int MPI_Bcast(void* data, int count, MPI_Datatype type, int root, MPI_Comm comm) {
  before("MPI_Bcast");
  return PMPI_Bcast(data, count, type, root, comm);
}

int MPI_Irecv(void* data, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request* request) {
  before("MPI_Irecv");
  return PMPI_Irecv(data, count, type, from, tag, comm, request);
}

int MPI_Iallreduce(const void* from, void* to, int count, MPI_Datatype type, MPI_Op op,
                   MPI_Comm comm, MPI_Request* request) {
  before("MPI_Iallreduce");
  return PMPI_Iallreduce(from, to, count, type, op, comm, request);
}

int MPI_Barrier(MPI_Comm comm) {
  before("MPI_Barrier");
  return PMPI_Barrier(comm);
}

int MPI_Finalize() {
  before("MPI_Finalize");
  const int done = PMPI_Finalize();
  before("behind", "MPI_Finalize");
  return done;
}
}
