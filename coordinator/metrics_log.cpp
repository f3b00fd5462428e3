#include "coordinator/metrics_log.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "common/error.h"
#include "coordinator/amounts.h"
#include "coordinator/event_file.h"
#include "coordinator/growing_file.h"
#include "coordinator/lineage.h"
#include "coordinator/process_memory.h"

namespace lockstep {
namespace {

double wall_clock_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

struct Record {
  double time_s = 0;
  std::variant<Interval, Evaluation> what;
};

}  // namespace

struct MetricsLog::Impl {
  Impl(FileSystem& files, const Log& log_in, MetricsOrigin origin_in,
       const std::string& attempt_path, const std::optional<EventFile>& events_in,
       std::function<bool()> may_write_in)
      : log(log_in),
        may_write(std::move(may_write_in)),
        origin(std::move(origin_in)),
        lines("metrics.jsonl", files, attempt_path + "/metrics.jsonl", "", log_in) {
    const double now_s = wall_clock_s();
    lines.append(start_line(origin, now_s));
    if (!events_in) return;
    events = std::make_unique<GrowingFile>(
        "tensorboard", files, events_in->folder + "/" + events_in->name, events_in->folder, log_in);
    events->append(event_file_start(now_s, events_in->first_step));
  }

  void write(const Record& record) {
    if (may_write && !may_write()) return;
    if (const auto* evaluation = std::get_if<Evaluation>(&record.what)) {
      lines.append(line_of(origin, record.time_s, *evaluation));
      if (events) events->append(event_of(record.time_s, *evaluation));
      return;
    }
    const auto& interval = std::get<Interval>(record.what);
    const auto memory = process_memory();
    lines.append(line_of(origin, record.time_s, interval, memory));
    if (events) events->append(event_of(record.time_s, interval, memory));
  }

  void add(Record record) {
    if (!thread.joinable()) return write(record);
    {
      const std::scoped_lock lock(mutex);
      if (waiting.size() < kMostWaiting) {
        waiting.push_back(std::move(record));
      } else {
        ++lost;
      }
    }
    wake.notify_all();
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return !waiting.empty() || closing; });
      if (waiting.empty()) return;
      const auto record = std::move(waiting.front());
      waiting.pop_front();
      busy = true;
      lock.unlock();
      write(record);
      lock.lock();
      busy = false;
      idle.notify_all();
    }
  }

  void join(double limit_s) {
    {
      std::unique_lock lock(mutex);
      idle.wait_for(lock, std::chrono::duration<double>(limit_s),
                    [&] { return waiting.empty() && !busy; });
      lost += waiting.size();
      waiting.clear();
      closing = true;
    }
    wake.notify_all();
    thread.join();
  }

  const Log& log;
  const std::function<bool()> may_write;
  const MetricsOrigin origin;
  GrowingFile lines;  // these two: the thread's, where there is one
  std::unique_ptr<GrowingFile> events;
  std::mutex mutex;  // guards what follows; never held while it is written
  std::condition_variable wake;
  std::condition_variable idle;
  std::deque<Record> waiting;
  std::size_t lost = 0;
  bool busy = false;
  bool closing = false;
  bool finished = false;  // the caller's
  std::thread thread;
};

MetricsLog::MetricsLog(FileSystem& files, const Log& log, const MetricsOrigin& origin,
                       const std::string& attempt_path, const std::optional<EventFile>& events,
                       RunsOn runs_on, std::function<bool()> may_write)
    : impl_(
          std::make_unique<Impl>(files, log, origin, attempt_path, events, std::move(may_write))) {
  if (runs_on == RunsOn::kCallersThread) return;
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // A limit on threads fails nothing.
  }
}

MetricsLog::~MetricsLog() {
  finish(0);
}

void MetricsLog::add(const Interval& interval) {
  impl_->add({wall_clock_s(), interval});
}

void MetricsLog::add(const Evaluation& evaluation) {
  impl_->add({wall_clock_s(), evaluation});
}

void MetricsLog::finish(double limit_s) {
  if (std::exchange(impl_->finished, true)) return;
  if (impl_->thread.joinable()) impl_->join(limit_s);
  impl_->lines.finish();
  if (impl_->events) impl_->events->finish();
  if (impl_->lost > 0)
    impl_->log.warning("metrics: " + count_text(impl_->lost, "record") +
                       " lost: the store was too slow");
}

std::int64_t first_step_to_forget(const FileSystem& files, const std::string& folder,
                                  const StoreView& store, const MetricsOrigin& origin) {
  std::int64_t shown = 0;
  try {
    for (const auto& entry : files.list(folder))
      if (const auto number = attempt_of_event_file(entry.name); number && *number < origin.attempt)
        shown = std::max(shown, *number);
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch)
    // Nothing is shown, or it can't be said.
  }
  const auto& parent = origin.parent;
  if (shown == 0 || !parent) return origin.iteration + 1;
  return (parent->store ? 0 : shared_iteration(store, parent->checkpoint, shown)) + 1;
}

}  // namespace lockstep
