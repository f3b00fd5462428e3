#include "coordinator/heartbeat.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/attempt_records.h"
#include "common/error.h"

namespace lockstep {

struct HeartbeatWriter::Impl {
  Impl(FileSystem& files_in, std::string path_in, double period_in, HeartbeatHooks hooks_in)
      : files(files_in), path(std::move(path_in)), period(period_in), hooks(std::move(hooks_in)) {}

  void beat() {
    const std::scoped_lock writing(file_mutex);
    std::string line;
    {
      const std::scoped_lock lock(mutex);
      ++now.counter;
      line = encode(now);
    }
    std::optional<std::string> why;
    try {
      if (hooks.before_beat) hooks.before_beat();
      files.overwrite(path, line);
    } catch (const Error& e) {
      why = e.what();
    }
    const std::scoped_lock lock(mutex);
    failure = std::move(why);
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stop) {
      if (wake.wait_for(lock, std::chrono::duration<double>(period), [&] { return stop; })) return;
      lock.unlock();
      beat();
      if (hooks.each_period) hooks.each_period();
      lock.lock();
    }
  }

  FileSystem& files;
  const std::string path;
  const double period;
  const HeartbeatHooks hooks;
  std::mutex file_mutex;  // one writer of the file at a time; held during I/O
  std::mutex mutex;       // guards the rest; never held during I/O
  std::condition_variable wake;
  Heartbeat now;
  std::optional<std::string> failure;
  bool stop = false;
  std::thread thread;
};

HeartbeatWriter::HeartbeatWriter(FileSystem& files, std::string path, double period_seconds,
                                 HeartbeatHooks hooks)
    : impl_(std::make_unique<Impl>(files, std::move(path), period_seconds, std::move(hooks))) {
  impl_->beat();
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

HeartbeatWriter::~HeartbeatWriter() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

void HeartbeatWriter::set_iteration(std::int64_t iteration) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->now.iteration = iteration;
}

void HeartbeatWriter::set_committed(std::int64_t iteration) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->now.last_committed = iteration;
}

void HeartbeatWriter::beat() {
  impl_->beat();
}

std::optional<std::string> HeartbeatWriter::failure() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->failure;
}

}  // namespace lockstep
