#include "coordinator/retention_worker.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace lockstep {

struct RetentionWorker::Impl {
  explicit Impl(Pass pass_in) : pass(std::move(pass_in)) {}

  void run_pass(std::int64_t iteration) {
    pass(iteration, [this] { return hurry.load(); });
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return pending || closing; });
      if (!pending) return;
      const auto iteration = *std::exchange(pending, std::nullopt);
      busy = true;
      lock.unlock();
      run_pass(iteration);
      lock.lock();
      busy = false;
      idle.notify_all();
    }
  }

  const Pass pass;
  std::atomic<bool> hurry = false;
  std::mutex mutex;  // guards what follows; never held during a pass
  std::condition_variable wake;
  std::condition_variable idle;
  std::optional<std::int64_t> pending;
  bool busy = false;
  bool closing = false;
  std::thread thread;
};

RetentionWorker::RetentionWorker(Pass pass, RunsOn runs_on)
    : impl_(std::make_unique<Impl>(std::move(pass))) {
  if (runs_on != RunsOn::kOwnThread) return;
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } catch (const std::system_error&) {  // a limit on threads: it runs on the caller's
  }
}

RetentionWorker::~RetentionWorker() {
  finish(0);
}

void RetentionWorker::committed(std::int64_t iteration) {
  if (!impl_->thread.joinable()) return impl_->run_pass(iteration);
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->pending = iteration;
  }
  impl_->wake.notify_all();
}

void RetentionWorker::finish(std::optional<double> limit_s) {
  if (!impl_->thread.joinable()) return;
  {
    std::unique_lock lock(impl_->mutex);
    const auto is_idle = [&] { return !impl_->pending && !impl_->busy; };
    if (!limit_s) {
      impl_->idle.wait(lock, is_idle);
    } else if (!impl_->idle.wait_for(lock, std::chrono::duration<double>(*limit_s), is_idle)) {
      impl_->hurry = true;
      impl_->pending.reset();
    }
    impl_->closing = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

}  // namespace lockstep
