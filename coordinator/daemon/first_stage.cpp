// lockstepd as it is started. To load LibTorch takes most of a second, before any line of main
// runs, and a stop signal would kill the rank in it: this small program holds such signals back and
// becomes libexec/lockstepd, which finds them pending as soon as it has its handlers.
//
// It also says where an installed lockstepd has no LibTorch, since the loader would only name a
// file, and tells the second stage of which commit it is.

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <unistd.h>

#include "common/revision.h"
#include "worker/stop_signal_numbers.h"

namespace {

// ".../bin/lockstepd" gives ".../libexec/lockstepd"; by where the file lies, be it started by a
// link.
std::string libexec() {
  std::array<char, 4096> own{};
  const auto length = ::readlink("/proc/self/exe", own.data(), own.size() - 1);
  const std::string path(own.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  const auto name = path.rfind('/');
  const auto folder = name != std::string::npos && name > 0 ? path.rfind('/', name - 1) : name;
  return (folder != std::string::npos ? path.substr(0, folder) : ".") + "/libexec";
}

// Of those on a host one is enough to say what is wrong with it.
bool is_first_on_its_host() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "MPI_LOCALRANKID"}) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the only thread
    if (value != nullptr) return std::strcmp(value, "0") == 0;
  }
  return true;
}

// The second stage finds LibTorch by a link beside it (deploy/cmake/Install.cmake), or by
// LD_LIBRARY_PATH.
bool lacks_libtorch(const std::string& link) {
  std::array<char, 1> target{};
  return ::readlink(link.c_str(), target.data(), target.size()) > 0 &&
         std::getenv("LD_LIBRARY_PATH") == nullptr &&  // NOLINT(concurrency-mt-unsafe)
         ::access((link + "/lib/libtorch_cpu.so").c_str(), R_OK) != 0;
}

void say_that_libtorch_is_missing(const std::string& link) {
  const int error = errno;
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::fprintf(stderr,
               "lockstepd: no LibTorch on %s: %s/lib/libtorch_cpu.so: %s; `lockstep-libtorch` as "
               "root installs it, `lockstep-libtorch --use FOLDER` takes one that is there\n",
               host.data(), link.c_str(), std::strerror(error));
}

}  // namespace

int main(int, char** argv) {
  sigset_t held;
  sigemptyset(&held);
  for (const int signal : lockstep::kStopSignalsAtStart)
    sigaddset(&held, signal);
  sigprocmask(SIG_BLOCK, &held, nullptr);
  const auto folder = libexec();
  const auto link = folder + "/lockstep-libtorch";
  if (lacks_libtorch(link)) {
    if (is_first_on_its_host()) say_that_libtorch_is_missing(link);
    return 2;
  }
  ::setenv("LOCKSTEP_REVISION", lockstep::source_revision(), 1);
  const auto program = folder + "/lockstepd";
  ::execv(program.c_str(), argv);
  std::fprintf(stderr,
               "lockstepd: can't start %s: %s; bin/lockstepd needs libexec/lockstepd beside bin/: "
               "copy both, or link to bin/lockstepd\n",
               program.c_str(), std::strerror(errno));
  return 2;
}
