#include "coordinator/status/service.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/error.h"
#include "coordinator/process_memory.h"
#include "coordinator/status/http_server.h"
#include "coordinator/status/page.h"
#include "coordinator/status/prometheus_text.h"
#include "coordinator/status/published.h"
#include "coordinator/status/status_json.h"
#include "coordinator/status/store_json.h"
#include "coordinator/status/store_observer.h"
#include "coordinator/status/text_file.h"
#include "coordinator/watchdog/background.h"

namespace lockstep {

namespace {

constexpr double kWantedSeconds = 60;  // so long after a request the store is looked at
constexpr double kSliceSeconds = 0.25;

double wall_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// How long to wait after a look: a job's store is none too busy by it, be it as slow as it likes.
double pause_after(double look_s, bool in_job) {
  constexpr double kShareOfJob = 20;
  constexpr double kShare = 10;
  constexpr double kMostSeconds = 60;  // a store that stood still is soon looked at again
  const auto pause_s =
      in_job ? std::max(2.0, kShareOfJob * look_s) : std::max(1.0, kShare * look_s);
  return std::min(pause_s, kMostSeconds);
}

}  // namespace

// Shared by its thread, so that one which waits for a dead disk for ever can be left behind.
struct StatusService::Impl {
  Impl(std::shared_ptr<FileSystem> given, StatusSetup what)
      : files(std::move(given)),
        setup(std::move(what)),
        observer(*files, setup.store, setup.job != nullptr) {
    auto none = std::make_shared<StorePicture>();
    none->path = setup.store;
    job = setup.job;
    picture.put(std::move(none));
  }

  StatusPicture now() const {
    StatusPicture all;
    all.store = picture.get();
    all.wall_s = wall_s();
    all.now_s = monotonic_s();
    if (const double begun_s = look_begun_s; begun_s > 0) all.look_s = all.now_s - begun_s;
    const std::lock_guard lock(job_mutex);
    if (job != nullptr) all.job = job->figures(all.now_s);
    return all;
  }

  std::string metrics() const {
    // In a job this process is rank 0; else it is nobody's concern.
    const bool in_job = setup.job != nullptr;
    return prometheus_text(now(), in_job ? process_memory().resident_bytes : std::nullopt);
  }

  HttpAnswer answer(const std::string& path) {
    wanted_s = monotonic_s();
    if (path == "/") return dashboard_page();
    if (path == "/status") return json(status_json(now()));
    if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", metrics(), ""};
    const auto store = picture.get();
    if (path == "/api/lineage") return json(lineage.of(store, lineage_json));
    if (path == "/api/curves") return json(curves.of(store, curves_json));
    if (path == "/api/decision") return json(decision_json(*store));
    return {404, "", "", ""};
  }

  static HttpAnswer json(std::string text) {
    return {200, "application/json", std::move(text), ""};
  }

  std::string event() {
    wanted_s = monotonic_s();
    return status_json(now());
  }

  void look() {
    look_begun_s = monotonic_s();
    picture.put(observer.look(look_begun_s));
    look_begun_s = 0;
  }

  void write_textfile() {
    if (setup.textfile.empty()) return;
    try {
      replace_text_file(setup.textfile, metrics());
      failing = false;
    } catch (const std::exception& e) {
      if (!failing) warn(std::string("metrics.textfile: ") + e.what());
      failing = true;
    }
  }

  void warn(const std::string& what) const {
    const std::lock_guard lock(job_mutex);
    if (setup.warn && !left_behind) setup.warn(what + "; training goes on without it");
  }

  // Error where it can't.
  void listen() {
    auto made = std::make_unique<HttpServer>(
        *setup.listen, HttpContent{[this](const std::string& path) { return answer(path); },
                                   [this] { return event(); }});
    wanted_s = monotonic_s();
    const auto found = made->address();
    {
      const std::lock_guard lock(job_mutex);
      server = std::move(made);
      address = found;
      if (setup.listens && !left_behind) setup.listens(found);
    }
    if (!setup.control_file.empty())
      write_durably(*files, setup.control_file,
                    nlohmann::json{{"address", to_text(found)}}.dump() + "\n");
  }

  void listen_in_job() {
    try {
      listen();
    } catch (const std::exception& e) {
      warn(std::string("control.listen: ") + e.what() + ": nobody is served");
    }
  }

  // The thread for all that may wait for a disk.
  void run() {
    stand_back();
    write_textfile();
    if (setup.listen && !server) {
      look();  // so that the first who asks is told of the store, too
      listen_in_job();
    }
    double next_look_s = 0;
    double next_write_s = monotonic_s() + setup.textfile_period_s;
    while (!wait_for_end()) {
      const auto now_s = monotonic_s();
      const bool writes = !setup.textfile.empty() && now_s >= next_write_s;
      if (writes) {
        write_textfile();
        next_write_s = now_s + setup.textfile_period_s;
      }
      if (now_s >= next_look_s && (writes || now_s - wanted_s < kWantedSeconds)) {
        look();
        const auto end_s = monotonic_s();
        next_look_s = end_s + pause_after(end_s - now_s, setup.job != nullptr);
      }
    }
    write_textfile();  // whatever the store does: it is over
    look();            // how it ended
    write_textfile();
    take_down();
    const std::lock_guard lock(mutex);
    through = true;
    wake.notify_all();
  }

  bool wait_for_end() {
    std::unique_lock lock(mutex);
    return wake.wait_for(lock, std::chrono::duration<double>(kSliceSeconds),
                         [this] { return ending; });
  }

  void take_down() {
    if (server && !setup.control_file.empty()) {
      try {
        files->unlink(setup.control_file);
      } catch (
          const std::exception&) {  // it names an address where nobody answers, as after a crash
      }
    }
    server.reset();  // behind the last look: whoever watches is told how it ended
  }

  // A large text, made once for each picture. The server's thread's.
  struct Kept {
    std::shared_ptr<const StorePicture> picture;
    std::string text;

    template <typename Make>
    const std::string& of(const std::shared_ptr<const StorePicture>& wanted, Make make) {
      if (picture == wanted) return text;
      text = make(*wanted);
      picture = wanted;
      return text;
    }
  };

  const std::shared_ptr<FileSystem> files;
  const StatusSetup setup;
  Kept lineage;
  Kept curves;
  StoreObserver observer;  // the thread's that may wait
  bool failing = false;    // likewise
  Published<StorePicture> picture;
  std::atomic<double> wanted_s{-kWantedSeconds};
  std::atomic<double> look_begun_s{0};  // 0: none is under way
  std::mutex mutex;
  std::condition_variable wake;
  bool ending = false;
  bool through = false;
  // Held for moments, never while a disk is waited for.
  mutable std::mutex job_mutex;
  const JobBoard* job = nullptr;  // null too when it may be gone
  bool left_behind = false;
  std::optional<ListenAddress> address;
  std::unique_ptr<HttpServer> server;  // the thread's
  std::thread thread;
};

StatusService::StatusService(std::shared_ptr<FileSystem> files, StatusSetup setup)
    : impl_(std::make_shared<Impl>(std::move(files), std::move(setup))) {
  auto& impl = *impl_;
  if (impl.setup.job == nullptr) {
    impl.look();
    if (impl.setup.listen) impl.listen();
  }
  impl.thread = start_without_signals([kept = impl_] { kept->run(); });
}

StatusService::~StatusService() {
  constexpr double kLimitSeconds = 2;
  finish(kLimitSeconds);
}

std::optional<ListenAddress> StatusService::address() const {
  const std::lock_guard lock(impl_->job_mutex);
  return impl_->address;
}

void StatusService::finish(double limit_s) {
  auto& impl = *impl_;
  if (!impl.thread.joinable()) return;
  bool through = false;
  {
    std::unique_lock lock(impl.mutex);
    impl.ending = true;
    impl.wake.notify_all();
    through = impl.wake.wait_for(lock, std::chrono::duration<double>(limit_s),
                                 [&impl] { return impl.through; });
  }
  {
    const std::lock_guard lock(impl.job_mutex);
    impl.job = nullptr;
    impl.left_behind = true;
  }
  through ? impl.thread.join() : impl.thread.detach();
}

}  // namespace lockstep
