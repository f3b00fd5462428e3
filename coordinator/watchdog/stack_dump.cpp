#include "coordinator/watchdog/stack_dump.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace lockstep {
namespace {

constexpr int kMostFrames = 40;
constexpr int kOwnFrames = 2;  // the handler's, and the kernel's return from it

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): see the header.
std::atomic<int> write_end{-1};
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<int> read_end{-1};
static_assert(std::atomic<int>::is_always_lock_free);

int dump_signal() {
  return SIGRTMIN + 5;
}

// backtrace_symbols_fd allocates nothing; a NUL ends the dump.
extern "C" void dump_stack(int /*signal*/) {
  const int before = errno;
  const int fd = write_end.load();
  if (fd >= 0) {
    std::array<void*, kMostFrames> frames{};
    const int count = ::backtrace(frames.data(), kMostFrames);
    if (count > kOwnFrames)
      ::backtrace_symbols_fd(frames.data() + kOwnFrames, count - kOwnFrames, fd);
    const char end = '\0';
    [[maybe_unused]] const auto written = ::write(fd, &end, 1);
  }
  errno = before;
}

}  // namespace

void prepare_stack_dump() {
  if (write_end.load() >= 0) return;
  // The first call loads a library, which a handler must not.
  std::array<void*, 1> frame{};
  ::backtrace(frame.data(), 1);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  read_end = ends[0];
  write_end = ends[1];
  struct sigaction action {};
  action.sa_handler = dump_stack;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(dump_signal(), &action, nullptr);
}

std::string stack_of(pthread_t thread, double seconds) {
  if (write_end.load() < 0 || ::pthread_kill(thread, dump_signal()) != 0) return "";
  constexpr int kSliceMs = 20;
  std::string text;
  for (double left_ms = seconds * 1000; left_ms > 0;) {
    pollfd ready{.fd = read_end.load(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kSliceMs) <= 0) {
      left_ms -= kSliceMs;
      continue;
    }
    std::array<char, 4096> some{};
    const auto size = ::read(ready.fd, some.data(), some.size());
    if (size <= 0) break;
    text.append(some.data(), static_cast<std::size_t>(size));
    if (text.back() == '\0') {
      text.pop_back();
      return text;
    }
  }
  return text;
}

}  // namespace lockstep
