#include "coordinator/cli/live_screen.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "common/error.h"

namespace lockstep::cli {

namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::array kEnding = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT, SIGPIPE,
                                SIGSEGV, SIGABRT, SIGBUS, SIGFPE,  SIGILL};

// For signal handlers, which nothing can be handed to.
termios keys_before;
termios keys_live;
volatile std::sig_atomic_t keys_are_taken = 0;

// What follows may run in a signal handler.
void write_out(std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void enter() {
  if (keys_are_taken != 0) ::tcsetattr(STDIN_FILENO, TCSANOW, &keys_live);
  write_out(kEnter);
}

void leave() {
  if (keys_are_taken != 0) ::tcsetattr(STDIN_FILENO, TCSANOW, &keys_before);
  write_out(kLeave);
}

void handle(int number, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(number, &action, nullptr);
}

void end_by(int number) {
  leave();
  handle(number, SIG_DFL, 0);
  ::raise(number);
}

void stop(int /*number*/) {
  const int error = errno;
  leave();
  handle(SIGTSTP, SIG_DFL, 0);
  ::raise(SIGTSTP);  // goes on here after CONT
  handle(SIGTSTP, stop, SA_NODEFER);
  enter();
  errno = error;
}

void set_handlers() {
  for (const int number : kEnding)
    handle(number, end_by, SA_NODEFER);
  handle(SIGTSTP, stop, SA_NODEFER);
  handle(
      SIGWINCH, [](int) {}, 0);  // only to end a wait
}

void set_no_handlers() {
  for (const int number : kEnding)
    handle(number, SIG_DFL, 0);
  handle(SIGTSTP, SIG_DFL, 0);
  handle(SIGWINCH, SIG_DFL, 0);
}

}  // namespace

LiveScreen::LiveScreen() : has_keys_(::tcgetattr(STDIN_FILENO, &keys_before) == 0) {
  if (has_keys_) {
    keys_live = keys_before;
    keys_live.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys_live.c_cc[VMIN] = 1;
    keys_live.c_cc[VTIME] = 0;
    keys_are_taken = 1;
  }
  set_handlers();
  enter();
}

LiveScreen::~LiveScreen() {
  leave();
  keys_are_taken = 0;
  set_no_handlers();
}

void LiveScreen::show(const std::string& picture) const {
  // Each line at its place: a new line at the end of a full screen would scroll it.
  std::string out;
  std::size_t begin = 0;
  int row = 0;
  for (std::size_t end = 0; (end = picture.find('\n', begin)) != std::string::npos; begin = end + 1)
    out += "\x1b[" + std::to_string(++row) + ";1H" + picture.substr(begin, end - begin) + "\x1b[K";
  out += "\x1b[J";
  std::string_view left = out;
  while (!left.empty()) {
    const auto written = ::write(STDOUT_FILENO, left.data(), left.size());
    if (written > 0) {
      left.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw Error(ErrorCode::kIo, "can't write to the terminal");
    }
  }
}

bool LiveScreen::wait_for_quit(double seconds) {
  constexpr double kMilliseconds = 1000;
  pollfd keys{STDIN_FILENO, POLLIN, 0};
  const int ready = ::poll(&keys, has_keys_ ? 1 : 0, static_cast<int>(seconds * kMilliseconds));
  if (ready <= 0) return false;
  std::array<char, 64> typed{};
  const auto count = ::read(STDIN_FILENO, typed.data(), typed.size());
  if (count == 0) has_keys_ = false;  // it is closed: nothing more will come
  const std::string_view all(typed.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  return all == "q" || all == "Q" || all.find('q') != std::string_view::npos;
}

}  // namespace lockstep::cli
