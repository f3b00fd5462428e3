#include "coordinator/watchdog/watchdog.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "coordinator/watchdog/background.h"
#include "coordinator/watchdog/stack_dump.h"

namespace lockstep {

struct Watchdog::Impl {
  static constexpr int kFarewells = 3;
  static constexpr auto kPause = std::chrono::milliseconds(20);

  Impl(const ProgressBoard& board, WatchdogSetup setup_in)
      : setup(std::move(setup_in)),
        duty(setup.rank == 0 ? make_root_duty(setup, board, ::pthread_self())
                             : make_rank_duty(setup, board, ::pthread_self())),
        stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { ::close(stop); }

  // Whether it is time to stop. A signal, or an error, is a wake-up as any other.
  bool wait(double seconds) const {
    std::array<pollfd, 2> ready{
        {{.fd = stop, .events = POLLIN, .revents = 0},
         {.fd = setup.link ? setup.link->socket.fd() : -1, .events = POLLIN, .revents = 0}}};
    const auto ms = static_cast<int>(std::ceil(1000 * std::max(seconds, 0.0)));
    ::poll(ready.data(), ready.size(), ms);
    return ready[0].revents != 0;
  }

  // What is there, but no more than a bounded number: a flood must not keep it from its ticks.
  void receive(double now_s) {
    if (!setup.link) return;
    const auto most = 64 + 4 * setup.hosts.size();
    std::array<std::byte, kPacketBytes> bytes{};
    UdpPeer from;
    for (std::size_t i = 0; i < most; ++i) {
      const auto size = setup.link->socket.receive(bytes, from);
      if (!size) return;
      if (*size == bytes.size()) duty->hear(bytes, from, now_s);
    }
  }

  // Whether this rank has come to its end and is to leave at once. Where it is to wait for the
  // others it parts, once.
  bool ends_now() {
    std::uint64_t calls = 0;
    [[maybe_unused]] const auto size = ::read(stop, &calls, sizeof calls);
    if (!together) return true;
    duty->part();
    parting = true;
    return false;
  }

  void run() {
    const double interval = wake_interval_s(setup.rule);
    AwakeClock clock(interval);
    double next_tick = monotonic_s();
    while (!(parting && duty->all_left())) {
      if (wait(next_tick - monotonic_s()) && ends_now()) break;
      const double now = monotonic_s();
      const double counted = clock.wake(now);
      receive(counted);
      if (now < next_tick) continue;
      duty->tick(counted);
      next_tick = now + interval;
    }
    // Some may be lost, and here nobody would ask for them again.
    for (int i = 1; parting && setup.rank == 0 && setup.hosts.size() > 1 && i < kFarewells; ++i) {
      duty->leave();
      std::this_thread::sleep_for(kPause);
    }
    duty->leave();
  }

  void end(bool with_others) {
    together = with_others;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop, &one, sizeof one);
    if (thread.joinable()) thread.join();
  }

  WatchdogSetup setup;
  std::unique_ptr<Duty> duty;
  int stop;
  std::atomic<bool> together = false;  // set before `stop` is written to
  bool parting = false;                // the thread's
  std::thread thread;
};

Watchdog::Watchdog(const ProgressBoard& board, WatchdogSetup setup) {
  prepare_stack_dump();
  impl_ = std::make_unique<Impl>(board, std::move(setup));
  impl_->thread = start_without_signals([impl = impl_.get()] { impl->run(); });
}

void Watchdog::leave_with_others() {
  impl_->end(true);
}

Watchdog::~Watchdog() {
  impl_->end(false);
}

}  // namespace lockstep
