#include "coordinator/watchdog/background.h"

#include <chrono>
#include <csignal>
#include <utility>

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"

namespace lockstep {

void write_to_stderr(std::string_view lines) noexcept {
  while (!lines.empty()) {
    const auto written = ::write(STDERR_FILENO, lines.data(), lines.size());
    if (written <= 0) return;
    lines.remove_prefix(static_cast<std::size_t>(written));
  }
}

void Voice::warning(const std::string& message) const {
  write_to_stderr((json_ ? json_line("warning", message) : "warning: " + message) + "\n");
}

void Voice::error(const std::vector<std::string>& messages) const {
  std::string lines;
  for (const auto& message : messages)
    lines += (json_ ? json_line("error", message) : message) + "\n";
  write_to_stderr(lines);
}

std::thread start_without_signals(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

void stand_back() {
  constexpr int kNice = 19;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
}

double monotonic_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace lockstep
