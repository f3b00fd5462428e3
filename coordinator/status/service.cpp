#include "coordinator/status/service.h"

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
  return in_job ? std::max(2.0, kShareOfJob * look_s) : std::max(1.0, kShare * look_s);
}

}  // namespace

// Shared by the reader's thread, so that one which waits for a dead store for ever can be left.
struct StatusService::Impl {
  Impl(std::shared_ptr<FileSystem> given, StatusSetup what)
      : files(std::move(given)), setup(std::move(what)), observer(*files, setup.store) {
    auto none = std::make_shared<StorePicture>();
    none->path = setup.store;
    picture.put(std::move(none));
  }

  StatusPicture now() const {
    StatusPicture all;
    all.store = picture.get();
    all.wall_s = wall_s();
    all.now_s = monotonic_s();
    if (setup.job != nullptr) all.job = setup.job->figures(all.now_s);
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

  void look() { picture.put(observer.look(monotonic_s())); }

  void write_textfile() {
    if (setup.textfile.empty()) return;
    try {
      replace_text_file(setup.textfile, metrics());
      failing = false;
    } catch (const std::exception& e) {
      if (!failing && setup.warn)
        setup.warn(std::string("metrics.textfile: ") + e.what() + "; training goes on without it");
      failing = true;
    }
  }

  // The reader's thread.
  void run() {
    stand_back();
    double next_look_s = 0;
    double next_write_s = 0;
    std::unique_lock lock(mutex);
    while (!ending) {
      lock.unlock();
      const auto now_s = monotonic_s();
      const bool writes = !setup.textfile.empty() && now_s >= next_write_s;
      if (now_s >= next_look_s && (writes || now_s - wanted_s < kWantedSeconds)) {
        look();
        const auto end_s = monotonic_s();
        next_look_s = end_s + pause_after(end_s - now_s, setup.job != nullptr);
      }
      lock.lock();
      if (ending) break;  // what is read of the job may be gone
      if (writes) {
        write_textfile();
        next_write_s = now_s + setup.textfile_period_s;
      }
      wake.wait_for(lock, std::chrono::duration<double>(kSliceSeconds), [this] { return ending; });
    }
    lock.unlock();
    look();  // how it ended
    lock.lock();
    if (left_behind) return;  // what it reads of the job may be gone
    write_textfile();
    through = true;
    wake.notify_all();
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
  StoreObserver observer;  // the reader's thread's
  bool failing = false;    // likewise
  Published<StorePicture> picture;
  std::atomic<double> wanted_s{-kWantedSeconds};
  std::mutex mutex;
  std::condition_variable wake;
  bool ending = false;
  bool through = false;
  bool left_behind = false;
  std::thread reader;
  std::unique_ptr<HttpServer> server;
};

StatusService::StatusService(std::shared_ptr<FileSystem> files, StatusSetup setup)
    : impl_(std::make_shared<Impl>(std::move(files), std::move(setup))) {
  auto& impl = *impl_;
  if (impl.setup.job == nullptr) impl.look();
  if (impl.setup.listen) {
    impl.server = std::make_unique<HttpServer>(
        *impl.setup.listen,
        HttpContent{[&impl](const std::string& path) { return impl.answer(path); },
                    [&impl] { return impl.event(); }});
    impl.wanted_s = monotonic_s();
    if (!impl.setup.control_file.empty())
      write_durably(*impl.files, impl.setup.control_file,
                    nlohmann::json{{"address", to_text(impl.server->address())}}.dump() + "\n");
  }
  impl.reader = start_without_signals([kept = impl_] { kept->run(); });
}

StatusService::~StatusService() {
  constexpr double kLimitSeconds = 2;
  finish(kLimitSeconds);
}

std::optional<ListenAddress> StatusService::address() const {
  return impl_->server ? std::optional(impl_->server->address()) : std::nullopt;
}

void StatusService::finish(double limit_s) {
  auto& impl = *impl_;
  if (!impl.reader.joinable()) return;
  if (impl.server && !impl.setup.control_file.empty()) {
    try {
      impl.files->unlink(impl.setup.control_file);
    } catch (const Error&) {  // it names an address where nobody answers, as after a crash
    }
  }
  bool through = false;
  {
    std::unique_lock lock(impl.mutex);
    impl.ending = true;
    impl.wake.notify_all();
    through = impl.wake.wait_for(lock, std::chrono::duration<double>(limit_s),
                                 [&impl] { return impl.through; });
    impl.left_behind = !through;
  }
  impl.server.reset();  // behind the last look: whoever watches is told how it ended
  through ? impl.reader.join() : impl.reader.detach();
}

}  // namespace lockstep
