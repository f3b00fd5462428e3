// lockstepd as it is started. To load LibTorch takes most of a second, before any line of main
// runs, and a stop signal would kill the rank in it: this small program holds such signals back and
// becomes libexec/lockstepd, which finds them pending as soon as it has its handlers.

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include <unistd.h>

#include "worker/stop_signal_numbers.h"

namespace {

// ".../bin/lockstepd" gives ".../libexec/lockstepd"; by where the file lies, be it started by a
// link.
std::string second_stage() {
  std::array<char, 4096> own{};
  const auto length = ::readlink("/proc/self/exe", own.data(), own.size() - 1);
  const std::string path(own.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  const auto name = path.rfind('/');
  const auto folder = name != std::string::npos && name > 0 ? path.rfind('/', name - 1) : name;
  return (folder != std::string::npos ? path.substr(0, folder) : ".") + "/libexec/lockstepd";
}

}  // namespace

int main(int, char** argv) {
  sigset_t held;
  sigemptyset(&held);
  for (const int signal : lockstep::kStopSignalsAtStart)
    sigaddset(&held, signal);
  sigprocmask(SIG_BLOCK, &held, nullptr);
  const auto program = second_stage();
  ::execv(program.c_str(), argv);
  std::fprintf(stderr,
               "lockstepd: can't start %s: %s; bin/lockstepd needs libexec/lockstepd beside bin/: "
               "copy both, or link to bin/lockstepd\n",
               program.c_str(), std::strerror(errno));
  return 2;
}
