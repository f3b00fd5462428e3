#include "coordinator/status/http_exchange.h"

#include <array>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

// Boost.Beast parses, strictly, and writes answers; it decodes, compresses and cuts nothing. With
// cpp-httplib a Range made one answer many megabytes, a browser's Accept-Encoding cost half a
// second of a core, and a Host was percent-decoded before it was seen.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "coordinator/status/http_rules.h"

namespace lockstep {

namespace http = boost::beast::http;

namespace {

constexpr double kFreshSeconds = 0.1;
constexpr auto kEventsPath = "/events";
constexpr auto kNothing = "default-src 'none'; frame-ancestors 'none'";

std::string as_string(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

// For every answer: nothing is kept, framed, guessed at or told to other sites.
template <typename Message>
void add_headers(Message& message, const std::string& type, const std::string& policy) {
  message.set(http::field::connection, "close");
  message.set(http::field::content_type, type);
  message.set(http::field::cache_control, "no-store");
  message.set("Content-Security-Policy", policy.empty() ? kNothing : policy);
  message.set("X-Content-Type-Options", "nosniff");
  message.set("X-Frame-Options", "DENY");
  message.set("Referrer-Policy", "no-referrer");
  message.set("Cross-Origin-Resource-Policy", "same-origin");
}

std::string bytes_of(int status, const std::string& type, const std::string& policy,
                     std::string body) {
  http::response<http::string_body> response(static_cast<http::status>(status), 11);
  add_headers(response, type, policy);
  if (status == 405) response.set(http::field::allow, "GET");
  response.body() = std::move(body);
  response.prepare_payload();
  std::ostringstream out;
  out << response;
  return out.str();
}

std::shared_ptr<const std::string> shared(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

std::string head_of_stream() {
  http::response<http::empty_body> response(http::status::ok, 11);
  add_headers(response, "text/event-stream", "");
  std::ostringstream out;
  out << response.base();
  return out.str();
}

// A head as the rules look at it; nullopt: it is none.
struct ParsedHead {
  std::string method;
  std::string path;
  std::vector<std::string> hosts;
  bool has_origin = false;
  bool has_body = false;
};

std::optional<ParsedHead> parse_head(std::string_view head) {
  if (!is_well_formed(head)) return std::nullopt;
  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(kMostOfAHeadBytes));
  boost::system::error_code error;
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  const bool whole = !error || error == http::error::unexpected_body;
  if (!whole || !parser.is_header_done()) return std::nullopt;
  const auto& request = parser.get();
  ParsedHead parsed;
  parsed.method = as_string(request.method_string());
  const auto target = as_string(request.target());
  parsed.path = target.substr(0, target.find('?'));
  const auto [first, last] = request.equal_range(http::field::host);
  for (auto one = first; one != last; ++one)
    parsed.hosts.push_back(as_string(one->value()));
  parsed.has_origin = request.count(http::field::origin) > 0;
  parsed.has_body = request.count(http::field::transfer_encoding) > 0 ||
                    (parser.content_length() && *parser.content_length() > 0) || error;
  return parsed;
}

}  // namespace

struct HttpExchange::Impl {
  Impl(ListenAddress where, const HttpContent& given) : address(std::move(where)), content(given) {}

  // nullptr: there is no such path.
  std::shared_ptr<const std::string> fresh_answer(const std::string& path, double now_s) {
    const auto known = answers.find(path);
    if (known != answers.end() && now_s - known->second.first < kFreshSeconds)
      return known->second.second;
    auto made = content.answer(path);
    if (made.status != 200) return nullptr;  // not kept: their number has no bound
    auto bytes = shared(bytes_of(200, made.type, made.policy, std::move(made.body)));
    answers[path] = {now_s, bytes};
    return bytes;
  }

  const ListenAddress address;
  const HttpContent& content;
  // Of paths that there are.
  std::map<std::string, std::pair<double, std::shared_ptr<const std::string>>> answers;
  std::pair<double, std::string> last_event = {-kFreshSeconds, ""};
};

HttpExchange::HttpExchange(ListenAddress address, const HttpContent& content)
    : impl_(std::make_unique<Impl>(std::move(address), content)) {}

HttpExchange::~HttpExchange() = default;

HttpExchange::Reply HttpExchange::answer(std::string_view head, double now_s) {
  if (const int broken = limit_broken(head)) return {refusal(broken), false};
  const auto request = parse_head(head);
  if (!request) return {refusal(400), false};
  const int verdict = judge(
      {request->method, request->hosts, request->has_origin, request->has_body}, impl_->address);
  if (verdict != 200) return {refusal(verdict), false};
  if (request->path == kEventsPath) return {shared(head_of_stream()), true};
  const auto answer = impl_->fresh_answer(request->path, now_s);
  return {answer ? answer : refusal(404), false};
}

std::shared_ptr<const std::string> HttpExchange::refusal(int status) const {
  return shared(bytes_of(status, "text/plain; charset=utf-8", "",
                         refusal_text(status, impl_->address) + "\n"));
}

std::string HttpExchange::event(double now_s, bool last) {
  auto& [made_s, text] = impl_->last_event;
  if (last || now_s - made_s >= kFreshSeconds) {
    text = "event: status\ndata: " + impl_->content.event() + "\n\n";
    made_s = now_s;
  }
  return text;
}

}  // namespace lockstep
