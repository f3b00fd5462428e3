#include "coordinator/status/http_exchange.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include <httplib.h>

#include "coordinator/status/http_rules.h"

namespace lockstep {

namespace {

constexpr double kFreshSeconds = 0.1;
constexpr auto kEventsPath = "/events";

// For every answer: nothing is kept, framed, guessed at or told to other sites.
const httplib::Headers& usual_headers() {
  static const httplib::Headers headers = {{"Cache-Control", "no-store"},
                                           {"X-Content-Type-Options", "nosniff"},
                                           {"X-Frame-Options", "DENY"},
                                           {"Referrer-Policy", "no-referrer"},
                                           {"Cross-Origin-Resource-Policy", "same-origin"}};
  return headers;
}

std::string lines_of(const httplib::Headers& headers) {
  std::string lines;
  for (const auto& [name, value] : headers)
    lines += name + ": " + value + "\r\n";
  return lines;
}

constexpr auto kNothing = "default-src 'none'; frame-ancestors 'none'";

// A client whose head has come and who takes all at once.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view head) : head_(head) {}
  std::string take() { return std::move(out_); }

  bool is_readable() const override { return !head_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* into, std::size_t size) override {
    const auto count = std::min(size, head_.size());
    std::memcpy(into, head_.data(), count);
    head_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* bytes, std::size_t size) override {
    out_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string_view head_;
  std::string out_;
};

RequestFacts facts_of(const httplib::Request& request, const std::vector<std::string>& hosts) {
  const auto length = request.get_header_value("Content-Length");
  return {
      .method = request.method,
      .hosts = hosts,
      .has_origin = request.has_header("Origin"),
      .has_body = request.has_header("Transfer-Encoding") || (!length.empty() && length != "0")};
}

std::vector<std::string> hosts_of(const httplib::Request& request) {
  std::vector<std::string> hosts;
  const auto [first, last] = request.headers.equal_range("Host");
  for (auto one = first; one != last; ++one)
    hosts.push_back(one->second);
  return hosts;
}

}  // namespace

// The library's server without its sockets and threads.
struct HttpExchange::Impl final : httplib::Server {
  Impl(ListenAddress where, const HttpContent& given) : address(std::move(where)), content(given) {
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      respond(request, response);
      return HandlerResponse::Handled;
    });
    // What the library itself refuses, before it asks anybody.
    set_error_handler(Handler([this](const httplib::Request&, httplib::Response& response) {
      if (response.body.empty()) refuse(response, response.status);
    }));
    set_default_headers(usual_headers());
  }

  void respond(const httplib::Request& request, httplib::Response& response) {
    const auto hosts = hosts_of(request);
    const int verdict = judge(facts_of(request, hosts), address);
    if (verdict != 200) return refuse(response, verdict);
    streams = request.path == kEventsPath;
    if (streams) return response.set_content("", "text/event-stream");
    const auto& answer = fresh_answer(request.path, now_s);
    if (answer.status != 200) return refuse(response, answer.status);
    response.status = answer.status;
    response.set_header("Content-Security-Policy",
                        answer.policy.empty() ? kNothing : answer.policy);
    response.set_content(answer.body, answer.type);
  }

  void refuse(httplib::Response& response, int status) const {
    response.status = status;
    response.set_header("Content-Security-Policy", kNothing);
    if (status == 405) response.set_header("Allow", "GET");
    response.set_content(refusal_text(status, address) + "\n", "text/plain; charset=utf-8");
  }

  const HttpAnswer& fresh_answer(const std::string& path, double at_s) {
    static const HttpAnswer kNone{404, {}, {}, {}};
    const auto known = answers.find(path);
    if (known != answers.end() && at_s - known->second.first < kFreshSeconds)
      return known->second.second;
    auto made = content.answer(path);
    if (made.status == 404) return kNone;  // not kept: their number has no bound
    return (answers[path] = {at_s, std::move(made)}).second;
  }

  std::string process(std::string_view head) {
    MemoryStream stream(head);
    bool closed = false;
    process_request(stream, true, closed, nullptr);
    return stream.take();
  }

  const ListenAddress address;
  const HttpContent& content;
  double now_s = 0;      // of the request that is being answered
  bool streams = false;  // likewise
  std::map<std::string, std::pair<double, HttpAnswer>> answers;  // of paths that there are
  std::pair<double, std::string> last_event = {-kFreshSeconds, ""};
};

HttpExchange::HttpExchange(ListenAddress address, const HttpContent& content)
    : impl_(std::make_unique<Impl>(std::move(address), content)) {}

HttpExchange::~HttpExchange() = default;

HttpExchange::Reply HttpExchange::answer(std::string_view head, double now_s) {
  if (const int broken = limit_broken(head)) return {refusal(broken), false};
  impl_->now_s = now_s;
  impl_->streams = false;
  auto bytes = impl_->process(head);
  if (!impl_->streams) return {bytes.empty() ? refusal(400) : std::move(bytes), false};
  std::string begun = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n";
  return {begun + lines_of(usual_headers()) + "\r\n", true};
}

std::string HttpExchange::refusal(int status) const {
  httplib::Response response;
  impl_->refuse(response, status);
  std::string bytes = "HTTP/1.1 " + std::to_string(status) + " Refused\r\nConnection: close\r\n" +
                      "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  return bytes + lines_of(usual_headers()) + lines_of(response.headers) + "\r\n" + response.body;
}

std::string HttpExchange::event(double now_s) {
  auto& [made_s, text] = impl_->last_event;
  if (now_s - made_s >= kFreshSeconds) {
    text = "event: status\ndata: " + impl_->content.event() + "\n\n";
    made_s = now_s;
  }
  return text;
}

}  // namespace lockstep
