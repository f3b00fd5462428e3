#include "coordinator/status/http_server.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "coordinator/status/http_exchange.h"
#include "coordinator/status/http_rules.h"
#include "coordinator/status/listening_socket.h"
#include "coordinator/watchdog/background.h"

namespace lockstep {

namespace {

constexpr double kWriteSeconds = 5;    // a client that takes nothing for so long is dropped
constexpr double kAnswerSeconds = 60;  // for all of an answer
constexpr double kEventSeconds = 1;
constexpr double kPartingSeconds = 1;  // for a client to close, when all is sent
constexpr std::size_t kMostUnsentEvents = std::size_t{1} << 20;

// A connection, from its head to its end. The server's thread alone knows it.
class Connection {
 public:
  enum class Stage { kHead, kAnswer, kEvents, kParting, kOver };

  Connection(int descriptor, double now_s)
      : descriptor_(descriptor), begun_s_(now_s), moved_s_(now_s) {}
  ~Connection() { ::close(descriptor_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int descriptor() const { return descriptor_; }
  Stage stage() const { return stage_; }
  bool wants_to_send() const { return unsent().size() > 0; }

  // What has come, when the head is there or breaks a limit; else nothing yet.
  std::optional<std::string> take_head() {
    if (stage_ != Stage::kHead) return drain();
    if (!receive()) return std::nullopt;
    const auto end = in_.find("\r\n\r\n");
    if (end == std::string::npos)
      return limit_broken(in_) != 0 ? std::optional(std::move(in_)) : std::nullopt;
    in_.resize(end + 4);  // a body is nobody's
    return std::move(in_);
  }

  void answer(std::shared_ptr<const std::string> bytes, double now_s) {
    answer_ = std::move(bytes);
    stage_ = Stage::kAnswer;
    begun_s_ = moved_s_ = now_s;
    send(now_s);
  }

  void begin_events(const std::string& head, double now_s) {
    events_ = head;
    stage_ = Stage::kEvents;
    next_event_s_ = moved_s_ = now_s;
  }

  bool wants_event(double now_s) const {
    return stage_ == Stage::kEvents && now_s >= next_event_s_;
  }

  void event(const std::string& bytes, double now_s) {
    next_event_s_ = now_s + kEventSeconds;
    if (!wants_to_send()) {
      events_.clear();
      sent_ = 0;
      moved_s_ = now_s;
    }
    if (events_.size() + bytes.size() > kMostUnsentEvents) return;  // it is dropped soon
    events_ += bytes;
    send(now_s);
  }

  void send(double now_s) {
    while (wants_to_send()) {
      const auto left = unsent();
      const auto done = ::send(descriptor_, left.data(), left.size(), MSG_NOSIGNAL);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0 && errno != EAGAIN) stage_ = Stage::kOver;
      if (done <= 0) return;
      sent_ += static_cast<std::size_t>(done);
      moved_s_ = now_s;
    }
    if (stage_ != Stage::kAnswer) return;
    // What the client may still have sent must be read, or closing would take the answer from it.
    ::shutdown(descriptor_, SHUT_WR);
    stage_ = Stage::kParting;
    begun_s_ = now_s;
  }

  void judge_time(double now_s) {
    const auto since = [now_s](double then_s) { return now_s - then_s; };
    const bool stuck = wants_to_send() && since(moved_s_) > kWriteSeconds;
    const bool late = (stage_ == Stage::kHead && since(begun_s_) > kReadSeconds) ||
                      (stage_ == Stage::kAnswer && since(begun_s_) > kAnswerSeconds) ||
                      (stage_ == Stage::kParting && since(begun_s_) > kPartingSeconds);
    if (stuck || late) stage_ = Stage::kOver;
  }

  void end() { stage_ = Stage::kOver; }

 private:
  std::string_view unsent() const {
    const std::string_view all = answer_ ? *answer_ : events_;
    return all.substr(sent_);
  }

  // false: nothing new.
  bool receive() {
    std::array<char, kMostOfAHeadBytes + 1> bytes{};
    const auto room = bytes.size() - std::min(in_.size(), bytes.size() - 1);
    const auto got = ::recv(descriptor_, bytes.data(), room, 0);
    if (got > 0) in_.append(bytes.data(), static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) stage_ = Stage::kOver;
    return got > 0;
  }

  std::optional<std::string> drain() {
    std::array<char, 4096> bytes{};
    const auto got = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
      // Half closed is closed: nobody who reads an answer closes first.
      stage_ = Stage::kOver;
    }
    return std::nullopt;
  }

  const int descriptor_;
  Stage stage_ = Stage::kHead;
  std::string in_;
  std::shared_ptr<const std::string> answer_;  // nullptr: events
  std::string events_;
  std::size_t sent_ = 0;  // of the one or the other
  double begun_s_;        // the stage
  double moved_s_;        // something was sent
  double next_event_s_ = 0;
};

std::size_t descriptors_allowed() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace

struct HttpServer::Impl {
  Impl(const ListenAddress& wanted, HttpContent given)
      : socket(wanted), content(std::move(given)), exchange(socket.address(), content) {
    wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) throw Error(ErrorCode::kIo, "no eventfd for the status server");
    thread = start_without_signals([this] { run(); });
  }

  ~Impl() {
    const std::uint64_t one = 1;
    // It can't fail: the counter is far from full.
    [[maybe_unused]] const auto written = ::write(wake, &one, sizeof one);
    thread.join();
    connections.clear();
    ::close(wake);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void run() {
    stand_back();
    for (bool goes_on = true; goes_on;) {
      try {
        goes_on = serve_once();
      } catch (const std::exception&) {  // for want of memory: no reason to end a training
        connections.clear();
      }
    }
    say_last();
  }

  // Whoever looks on learns how it ended, as far as that can be sent at once.
  void say_last() {
    try {
      const auto now_s = monotonic_s();
      for (auto& one : connections)
        if (one.stage() == Connection::Stage::kEvents)
          one.event(exchange.event(now_s, true), now_s);
    } catch (const std::exception&) {  // for want of memory
    }
  }

  // false: the end was asked for.
  bool serve_once() {
    constexpr int kMostWaitMs = 250;
    const auto listens = static_cast<short>(monotonic_s() >= listens_from_s ? POLLIN : 0);
    std::vector<pollfd> watched = {{wake, POLLIN, 0}, {socket.descriptor(), listens, 0}};
    for (const auto& one : connections)
      watched.push_back(
          {one.descriptor(), static_cast<short>(POLLIN | (one.wants_to_send() ? POLLOUT : 0)), 0});
    ::poll(watched.data(), watched.size(), kMostWaitMs);
    if (watched[0].revents != 0) return false;
    const auto now_s = monotonic_s();
    std::size_t at = 2;
    for (auto& one : connections)
      serve(one, watched[at++].revents, now_s);
    if (watched[1].revents != 0) let_in(now_s);
    connections.remove_if(
        [](const Connection& one) { return one.stage() == Connection::Stage::kOver; });
    return true;
  }

  void serve(Connection& one, short ready, double now_s) {
    if ((ready & POLLOUT) != 0) one.send(now_s);
    if ((ready & (POLLIN | POLLHUP | POLLERR)) != 0)
      if (const auto head = one.take_head()) reply(one, *head, now_s);
    if (one.wants_event(now_s)) one.event(exchange.event(now_s), now_s);
    one.judge_time(now_s);
  }

  void reply(Connection& one, const std::string& head, double now_s) {
    auto reply = exchange.answer(head, now_s);
    if (!reply.streams) return one.answer(std::move(reply.bytes), now_s);
    if (count(Connection::Stage::kEvents) >= kMostStreams)
      return one.answer(exchange.refusal(503), now_s);
    one.begin_events(*reply.bytes, now_s);
    one.event(exchange.event(now_s), now_s);
  }

  std::size_t count(Connection::Stage stage) const {
    std::size_t found = 0;
    for (const auto& one : connections)
      found += one.stage() == stage ? 1 : 0;
    return found;
  }

  void let_in(double now_s) {
    constexpr double kPauseSeconds = 1;
    errno = 0;
    for (int descriptor = socket.accept(); descriptor >= 0; descriptor = socket.accept()) {
      if (connections.size() >= most_connections && !make_room()) {
        Connection(descriptor, now_s).answer(exchange.refusal(503), now_s);
        continue;
      }
      serve(connections.emplace_back(descriptor, now_s), POLLIN, now_s);
    }
    // Where no descriptor can be had who waits goes on waiting: to ask at once again would spin.
    const bool none_waits = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    if (!none_waits) listens_from_s = now_s + kPauseSeconds;
  }

  // The oldest that has asked for nothing yet, or is through, makes room; false: there is none.
  bool make_room() {
    for (auto one = connections.begin(); one != connections.end(); ++one) {
      if (one->stage() == Connection::Stage::kAnswer || one->stage() == Connection::Stage::kEvents)
        continue;
      connections.erase(one);
      return true;
    }
    return false;
  }

  ListeningSocket socket;
  HttpContent content;
  HttpExchange exchange;
  std::list<Connection> connections;  // in the order in which they came
  const std::size_t most_connections = connections_for(descriptors_allowed());
  double listens_from_s = 0;
  int wake = -1;
  std::thread thread;
};

HttpServer::HttpServer(const ListenAddress& wanted, HttpContent content)
    : impl_(std::make_unique<Impl>(wanted, std::move(content))) {}

HttpServer::~HttpServer() = default;

const ListenAddress& HttpServer::address() const {
  return impl_->socket.address();
}

}  // namespace lockstep
