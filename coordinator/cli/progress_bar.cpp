#include "coordinator/cli/progress_bar.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>

#include <unistd.h>

#include "coordinator/amounts.h"
#include "coordinator/cli/store_reading.h"

namespace lockstep::cli {

namespace {

constexpr double kQuietSeconds = 1;
constexpr double kRedrawSeconds = 0.1;
constexpr std::size_t kBarWidth = 30;
constexpr const char* kClearLine = "\r\x1b[K";

}  // namespace

struct ProgressBar::Impl {
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }

  void draw(double now_s) const {
    const auto read = std::min(done.load(), total.load());
    const double part =
        static_cast<double>(read) / static_cast<double>(std::max<std::uint64_t>(total, 1));
    const auto filled = static_cast<std::size_t>(part * kBarWidth);
    const double left_s = part > 0 ? now_s / part - now_s : 0;
    std::fprintf(stderr, "%s[%s%s] %3.0f %%  %s of %s  %s  %.0f s left", kClearLine,
                 std::string(filled, '#').c_str(), std::string(kBarWidth - filled, '-').c_str(),
                 100 * part, bytes_text(read).c_str(), bytes_text(total).c_str(),
                 rate_text(read, now_s).c_str(), left_s);
    std::fflush(stderr);
  }

  const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
  const std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  std::atomic<std::uint64_t> total = 0;
  std::atomic<std::uint64_t> done = 0;
  std::mutex drawing;
  double drawn_s = 0;
};

ProgressBar::ProgressBar() : impl_(std::make_unique<Impl>()) {}
ProgressBar::~ProgressBar() {
  if (impl_->drawn_s > 0) std::fputs(kClearLine, stderr);
}

void ProgressBar::set_total(std::uint64_t bytes) {
  impl_->total = bytes;
}

void ProgressBar::add(std::uint64_t bytes) {
  impl_->done += bytes;
  if (!impl_->on_terminal) return;
  const std::unique_lock lock(impl_->drawing, std::try_to_lock);
  const double now_s = seconds();
  if (!lock || now_s < kQuietSeconds || now_s - impl_->drawn_s < kRedrawSeconds) return;
  impl_->drawn_s = now_s;
  impl_->draw(now_s);
}

double ProgressBar::seconds() const {
  return impl_->seconds();
}

}  // namespace lockstep::cli
