// A request's head to the status server: whatever it is, there is one answer, and only who may ask
// gets more than a refusal.

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "coordinator/status/http_exchange.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using namespace lockstep;
using namespace lockstep::fuzz;

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

// `sent`: the head is its beginning, to the first empty line, as the server takes it.
void check(std::string_view sent) {
  const auto end = sent.find("\r\n\r\n");
  const auto head = end == std::string_view::npos ? sent : sent.substr(0, end + 4);
  const HttpContent content = {[](const std::string& path) {
                                 return path == "/status"
                                            ? HttpAnswer{200, "text/plain", "told", ""}
                                            : HttpAnswer{404, "", "", ""};
                               },
                               [] { return std::string("told"); }};
  HttpExchange exchange({"", 4242}, content);
  const auto reply = exchange.answer(head, 0);
  require(reply.bytes->starts_with("HTTP/1.1 "), "no answer");
  require(count_of(*reply.bytes, "\r\n\r\n") >= 1, "an answer without an end of its head");
  require(count_of(lower(*reply.bytes), "access-control") == 0, "others are let in");
  const bool told = reply.streams || reply.bytes->find("told") != std::string::npos;
  if (!told) return;
  const auto said = lower(head);
  require(head.starts_with("GET "), "what is not GET is answered");
  require(said.find("\nhost:") != std::string::npos, "who names no host is answered");
  require(said.find("localhost:4242") != std::string::npos ||
              said.find("127.0.0.1:4242") != std::string::npos,
          "who names another host is answered");
  require(said.find("\norigin:") == std::string::npos, "another site's page is answered");
  require(head.size() <= 8192, "a head above the limit is answered");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(text_of(data, size));
  check(text);
  check(text + "\r\n\r\n");
  check("GET /status HTTP/1.1\r\nHost: localhost:4242\r\n" + text + "\r\n\r\n");
  return 0;
}
