#include "coordinator/cli/progress_bar.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

#include "coordinator/amounts.h"
#include "coordinator/cli/text_width.h"

namespace lockstep::cli {

namespace {

constexpr double kQuietSeconds = 1;
constexpr double kRedrawSeconds = 0.1;
constexpr const char* kClearLine = "\r\x1b[K";

std::size_t columns_of_stderr() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string amount_text(std::uint64_t amount, Unit unit) {
  return unit == Unit::kBytes ? bytes_text(amount) : std::to_string(amount);
}

// "512.0 MiB/s", "2.5/s"
std::string speed_text(double per_second, Unit unit) {
  constexpr double kWhole = 10;  // from here on no fraction is of interest
  if (unit == Unit::kBytes) return bytes_text(static_cast<std::uint64_t>(per_second)) + "/s";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), per_second < kWhole ? "%.1f/s" : "%.0f/s", per_second);
  return text.data();
}

// Done of all; of a progress whose total is known.
double part_of(const Progress& progress) {
  return static_cast<double>(std::min(progress.done, progress.total)) /
         static_cast<double>(progress.total);
}

std::string bar_text(double part, std::size_t width) {
  const auto filled =
      static_cast<std::size_t>(std::clamp(part, 0.0, 1.0) * static_cast<double>(width));
  return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
}

// "12 s", or "12 s, at most 3 min more".
std::string elapsed_text(const Progress& progress) {
  const auto text = duration_text(progress.seconds);
  const double left = static_cast<double>(progress.total) - progress.seconds;
  return left > 0 ? text + ", at most " + duration_text(left) + " more" : text;
}

// " 50 %  1.0 GiB of 2.0 GiB  512.0 MiB/s  2 s left"
std::string amounts_text(const Progress& progress) {
  const double speed =
      progress.seconds > 0 && progress.done > progress.begun_at
          ? static_cast<double>(progress.done - progress.begun_at) / progress.seconds
          : 0;
  const auto fast = "  " + speed_text(speed, progress.unit);
  if (progress.total == 0) return amount_text(progress.done, progress.unit) + fast;
  const auto done = std::min(progress.done, progress.total);
  std::array<char, 16> percent{};
  std::snprintf(percent.data(), percent.size(), "%3.0f %%  ", 100 * part_of(progress));
  auto text = percent.data() + amount_text(done, progress.unit) + " of " +
              amount_text(progress.total, progress.unit) + fast;
  if (!(speed > 0)) return text;
  return text + "  " + duration_text(static_cast<double>(progress.total - done) / speed) + " left";
}

}  // namespace

std::string progress_text(const Progress& progress, std::size_t columns) {
  constexpr std::size_t kMostBar = 30;
  constexpr std::size_t kLeastBar = 5;
  constexpr std::size_t kAroundBar = 6;  // brackets, and two blanks on each side
  const bool waits = progress.unit == Unit::kSeconds;
  auto behind = waits ? elapsed_text(progress) : amounts_text(progress);
  if (progress.total > 0 && !waits) {
    const auto rest = width_of(progress.what) + kAroundBar + width_of(behind);
    const auto room = columns == 0 ? kMostBar : columns > rest ? columns - rest : 0;
    if (room >= kLeastBar)
      behind = bar_text(part_of(progress), std::min(room, kMostBar)) + "  " + behind;
  }
  const auto line = progress.what + "  " + behind;
  return columns == 0 ? line : cut_to(line, columns, false);
}

struct ProgressBar::Impl {
  using Clock = std::chrono::steady_clock;

  // With the lock.
  void draw_if_due(const Clock::time_point& now) {
    const auto since = [&](const Clock::time_point& then) {
      return std::chrono::duration<double>(now - then).count();
    };
    if (since(made) < kQuietSeconds || (drawn && since(drawn_at) < kRedrawSeconds)) return;
    drawn = true;
    drawn_at = now;
    progress.seconds = since(begun);
    const auto columns = columns_of_stderr();
    // A line that is full to the last column would be torn by some terminals.
    std::fprintf(stderr, "%s%s", kClearLine,
                 progress_text(progress, columns > 0 ? columns - 1 : 0).c_str());
    std::fflush(stderr);
  }
  void erase() {
    if (std::exchange(drawn, false)) std::fputs(kClearLine, stderr);
  }

  const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
  const Clock::time_point made = Clock::now();
  Clock::time_point begun = made;
  std::mutex mutex;
  Progress progress;
  bool drawn = false;
  Clock::time_point drawn_at;
};

ProgressBar::ProgressBar(std::string what, Unit unit, std::uint64_t total, std::uint64_t begun_at)
    : impl_(std::make_unique<Impl>()) {
  impl_->progress = {std::move(what), unit, begun_at, total, 0, begun_at};
}

ProgressBar::~ProgressBar() {
  impl_->erase();
}

void ProgressBar::begin(std::string what, Unit unit, std::uint64_t total) {
  const std::lock_guard lock(impl_->mutex);
  impl_->progress = {std::move(what), unit, 0, total, 0, 0};
  impl_->begun = Impl::Clock::now();
}

void ProgressBar::add_total(std::uint64_t more) {
  const std::lock_guard lock(impl_->mutex);
  impl_->progress.total += more;
}

void ProgressBar::add(std::uint64_t more) {
  const std::lock_guard lock(impl_->mutex);
  impl_->progress.done += more;
  if (impl_->on_terminal) impl_->draw_if_due(Impl::Clock::now());
}

void ProgressBar::reach(std::uint64_t done) {
  const std::lock_guard lock(impl_->mutex);
  impl_->progress.done = done;
  if (impl_->on_terminal) impl_->draw_if_due(Impl::Clock::now());
}

void ProgressBar::tell(std::string what) {
  const std::lock_guard lock(impl_->mutex);
  impl_->progress.what = std::move(what);
  if (impl_->on_terminal) impl_->draw_if_due(Impl::Clock::now());
}

void ProgressBar::clear() {
  const std::lock_guard lock(impl_->mutex);
  impl_->erase();
}

double ProgressBar::seconds() const {
  return std::chrono::duration<double>(Impl::Clock::now() - impl_->made).count();
}

Clock clock_shown_on(ProgressBar& bar, const std::string& what, double most_s) {
  constexpr double kPieceSeconds = 0.2;
  const auto clock = steady_clock();
  const auto sleep = [=, &bar, begun = false](double seconds) mutable {
    if (!std::exchange(begun, true))
      bar.begin(what, Unit::kSeconds, static_cast<std::uint64_t>(most_s));
    const double end_s = clock.now_s() + seconds;
    while (clock.now_s() < end_s) {
      bar.tell(what);
      clock.sleep(std::clamp(end_s - clock.now_s(), 0.0, kPieceSeconds));
    }
  };
  return {clock.now_s, sleep};
}

ReadProgress shown_on(ProgressBar& bar) {
  ReadProgress progress;
  progress.on_attempts = [&bar](std::size_t attempts) {
    bar.begin("reading attempts", Unit::kThings, attempts);
  };
  progress.on_attempt = [&bar] { bar.add(1); };
  progress.on_total = [&bar](std::uint64_t bytes) { bar.begin("verifying", Unit::kBytes, bytes); };
  progress.on_verified = [&bar](std::uint64_t bytes) { bar.add(bytes); };
  progress.on_count = [&bar](std::size_t files) {
    bar.begin("opening files", Unit::kThings, files);
  };
  progress.on_opened = [&bar] { bar.add(1); };
  return progress;
}

}  // namespace lockstep::cli
