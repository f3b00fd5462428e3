#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/status/http_exchange.h"
#include "coordinator/status/http_rules.h"
#include "coordinator/status/listen_address.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const ListenAddress kLoopback{"", 4242};
const ListenAddress kSocket{"/run/x", 0};

TEST(ListenAddressTest, IsReadAndWritten) {
  struct Row {
    std::string text;
    std::string back;  // "": no address
  };
  const std::vector<Row> rows = {{"127.0.0.1:0", "127.0.0.1:0"},
                                 {"127.0.0.1:65535", "127.0.0.1:65535"},
                                 {"unix:/run/x y", "unix:/run/x y"},
                                 {"unix:x", "unix:x"},
                                 {"127.0.0.1:65536", ""},
                                 {"127.0.0.1:-1", ""},
                                 {"127.0.0.1:+1", ""},
                                 {"127.0.0.1:080", ""},
                                 {"127.0.0.1:", ""},
                                 {"127.0.0.1:80 ", ""},
                                 {"127.0.0.1", ""},
                                 {"127.0.0.2:80", ""},
                                 {"0.0.0.0:80", ""},
                                 {"[::1]:80", ""},
                                 {"localhost:80", ""},
                                 {"unix:", ""},
                                 {"off", ""},
                                 {"", ""}};
  for (const auto& row : rows) {
    const auto address = parse_listen_address(row.text);
    EXPECT_EQ(address ? to_text(*address) : "", row.back) << row.text;
  }
}

TEST(ListenAddressTest, TellsTheWayFromElsewhere) {
  EXPECT_EQ(way_from_elsewhere(kLoopback, "n7"),
            "ssh -L 4242:127.0.0.1:4242 n7, then the same address");
  EXPECT_EQ(way_from_elsewhere(kSocket, "n7"),
            "ssh -L 8000:/run/x n7, then http://localhost:8000/");
}

// What a page whose name was made to lead here (DNS rebinding) would send among them.
TEST(ListenAddressTest, KnowsItsOwnNamesAlone) {
  struct Row {
    std::string host;
    bool of_loopback;
    bool of_socket;
  };
  const std::vector<Row> rows = {{"127.0.0.1:4242", true, false},
                                 {"localhost:4242", true, true},
                                 {"LocalHost:4242", true, true},
                                 {"localhost", false, true},
                                 {"localhost:1", false, true},
                                 {"127.0.0.1", false, false},
                                 {"127.0.0.1:4243", false, false},
                                 {"127.0.0.1:42420", false, false},
                                 {"127.0.0.1:04242", false, false},
                                 {"127.0.0.1:4242.evil.com", false, false},
                                 {"localhost.evil.com:4242", false, false},
                                 {"evil.com:4242", false, false},
                                 {"evil.com", false, false},
                                 {"localhost:", false, false},
                                 {"localhost:x", false, false},
                                 {"localhost:4242:1", false, false},
                                 {"127.1:4242", false, false},
                                 {"2130706433:4242", false, false},
                                 {"0.0.0.0:4242", false, false},
                                 {"[::1]:4242", false, false},
                                 {"user@localhost:4242", false, false},
                                 {" localhost:4242", false, false},
                                 {"", false, false}};
  for (const auto& row : rows) {
    EXPECT_EQ(is_host_of(row.host, kLoopback), row.of_loopback) << row.host;
    EXPECT_EQ(is_host_of(row.host, kSocket), row.of_socket) << row.host;
  }
}

TEST(HttpRules, JudgeEachRequestInTheirOrder) {
  struct Row {
    std::string method;
    std::vector<std::string> hosts;
    bool has_origin;
    bool has_body;
    int status;
  };
  const std::string good = "localhost:4242";
  const std::vector<Row> rows = {
      {"GET", {good}, false, false, 200},         {"HEAD", {good}, false, false, 405},
      {"POST", {good}, false, true, 405},         {"DELETE", {"evil"}, true, true, 405},
      {"get", {good}, false, false, 405},         {"GET", {}, false, false, 400},
      {"GET", {""}, false, false, 400},           {"GET", {good, good}, false, false, 400},
      {"GET", {good, "evil"}, false, false, 400}, {"GET", {"evil"}, false, false, 403},
      {"GET", {good}, true, false, 403},          {"GET", {good}, false, true, 413}};
  for (const auto& row : rows)
    EXPECT_EQ(judge({row.method, row.hosts, row.has_origin, row.has_body}, kLoopback), row.status)
        << row.method << " " << ::testing::PrintToString(row.hosts);
}

TEST(HttpRules, LeaveTheTrainingItsDescriptors) {
  for (const auto& [descriptors, connections] : std::vector<std::pair<std::size_t, std::size_t>>{
           {0, 1}, {30, 1}, {128, 1}, {129, 1}, {200, 18}, {256, 32}, {1024, 32}, {1U << 20, 32}})
    EXPECT_EQ(connections_for(descriptors), connections) << descriptors;
}

TEST(HttpRules, LimitTheLineAndTheHead) {
  const auto line = [](std::size_t bytes) { return std::string(bytes, 'x'); };
  EXPECT_EQ(limit_broken(""), 0);
  EXPECT_EQ(limit_broken(line(kMostOfALineBytes)), 0);
  EXPECT_EQ(limit_broken(line(kMostOfALineBytes + 1)), 414);
  EXPECT_EQ(limit_broken(line(kMostOfALineBytes) + "\r\n" + line(100)), 0);
  const auto rest = kMostOfAHeadBytes - 12;
  EXPECT_EQ(limit_broken("0123456789\r\n" + line(rest)), 0);
  EXPECT_EQ(limit_broken("0123456789\r\n" + line(rest + 1)), 431);
}

TEST(HttpRules, WantLinesThatEveryReaderTakesForTheSame) {
  const std::string line = "GET / HTTP/1.1\r\n";
  for (const std::string good : {"", "A: b\r\n", "A: b\tc\r\nB:\r\n", "A: \xc3\xa4\r\n"})
    EXPECT_TRUE(is_well_formed(line + good + "\r\n")) << good;
  for (const std::string bad :
       {"A: b\n", "A: b\nOrigin: null\r\n", "A: b\rOrigin: null\r\n", "\r\r\n", "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n", "A: \x01\r\n", "A: \x7f\r\n"})
    EXPECT_FALSE(is_well_formed(line + bad + "\r\n")) << bad;
  EXPECT_FALSE(is_well_formed(line + std::string("A: \0\r\n", 6) + "\r\n"));
}

class HttpExchangeTest : public ::testing::Test {
 protected:
  std::string ask(const std::string& line,
                  const std::string& headers = "Host: localhost:4242\r\n") {
    return *exchange_.answer(line + "\r\n" + headers + "\r\n", now_s_).bytes;
  }

  int asked_ = 0;
  double now_s_ = 100;
  HttpContent content_ = {[this](const std::string& path) {
                            ++asked_;
                            if (path != "/status") return HttpAnswer{404, "", "", ""};
                            return HttpAnswer{200, "application/json", "{\"x\": 1}", ""};
                          },
                          [this] {
                            ++asked_;
                            return std::string("{}");
                          }};
  HttpExchange exchange_{kLoopback, content_};
};

TEST_F(HttpExchangeTest, AnswersWithHeadersThatLetNothingIn) {
  const auto answer = ask("GET /status HTTP/1.1");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n{\"x\": 1}"));
  for (const auto* header :
       {"Content-Security-Policy: default-src 'none'", "X-Content-Type-Options: nosniff",
        "Cache-Control: no-store", "Cross-Origin-Resource-Policy: same-origin",
        "X-Frame-Options: DENY", "Connection: close"})
    EXPECT_THAT(answer, HasSubstr(std::string("\r\n") + header)) << header;
  EXPECT_THAT(answer, Not(HasSubstr("Access-Control")));
}

TEST_F(HttpExchangeTest, RefusesWithTheStatusOfItsRules) {
  EXPECT_THAT(ask("GET /nothing HTTP/1.1"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("GET /status/ HTTP/1.1"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("GET /../status HTTP/1.1"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("POST /status HTTP/1.1"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", ""), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "Host:\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "Host: evil.com\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "Host: localhost:4242\r\nOrigin: null\r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "Host: localhost:4242\r\noRIGIN:  \r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "Host: localhost:4242\r\nHost:\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "Host: localhost:4242\r\nHost: evil.com\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "Host: localhost:4242\r\nContent-Length: 5\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask("GET /" + std::string(5000, 'a') + " HTTP/1.1"), StartsWith("HTTP/1.1 414 "));
  EXPECT_THAT(ask("GET /status HTTP/1.1", "A: " + std::string(9000, 'a') + "\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_EQ(asked_, 3) << "only those that may ask are let through";
}

// What a client asks for beside the path changes no answer: ranges that multiply it, compression
// that costs more than the answer, a wait for leave to send.
TEST_F(HttpExchangeTest, AnswersTheSameWhateverElseIsAskedFor) {
  const std::string host = "Host: localhost:4242\r\n";
  const auto plain = ask("GET /status HTTP/1.1", host);
  for (const auto* more :
       {"Range: bytes=0-,0-,0-,0-\r\n", "Accept-Encoding: br, gzip\r\n", "Expect: 100-continue\r\n",
        "Connection: keep-alive, Upgrade\r\n", "Upgrade: websocket\r\n", "If-None-Match: *\r\n",
        "Accept: x/y\r\n", "Content-Length: 0\r\n", "Cookie: a=b\r\n"})
    EXPECT_EQ(ask("GET /status HTTP/1.1", host + more), plain) << more;
  EXPECT_EQ(ask("GET /status?x=%00 HTTP/1.1", host), plain);
}

TEST_F(HttpExchangeTest, ReadsNothingIntoAHeadThatIsNotThere) {
  for (const auto* head :
       {"Host: %6cocalhost:4242\r\n", "Host: localhost%3A4242\r\n", "Host : localhost:4242\r\n",
        "Host: localhost:4242\r\nOrigin : null\r\n", "Host: localhost:4242\r\nno colon\r\n",
        "Host: localhost:4242\r\n: x\r\n",
        "Host: localhost:4242\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
        "Host: localhost:4242\r\nContent-Length: -1\r\n",
        "Host: localhost:4242\r\nTransfer-Encoding: chunked\r\n",
        "Host: localhost:4242\r\nTransfer-Encoding: gzip\r\n"})
    EXPECT_THAT(ask("GET /status HTTP/1.1", head), StartsWith("HTTP/1.1 4")) << head;
  EXPECT_EQ(asked_, 0);
}

TEST_F(HttpExchangeTest, AnswersWhateverComes) {
  for (const auto* head : {"\r\n\r\n", "GET\r\n\r\n", "GET /status\r\n\r\n", "x y z\r\n\r\n",
                           "GET /status HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n"})
    EXPECT_THAT(*exchange_.answer(head, now_s_).bytes, StartsWith("HTTP/1.1 40")) << head;
}

TEST_F(HttpExchangeTest, GivesAgainWhatWasMadeJustNow) {
  ask("GET /status HTTP/1.1");
  now_s_ += 0.05;
  ask("GET /status HTTP/1.1");
  EXPECT_EQ(asked_, 1);
  now_s_ += 0.06;
  ask("GET /status HTTP/1.1");
  EXPECT_EQ(asked_, 2);
}

TEST_F(HttpExchangeTest, ClientsOfTheSameMomentShareOneAnswer) {
  const std::string head = "GET /status HTTP/1.1\r\nHost: localhost:4242\r\n\r\n";
  EXPECT_EQ(exchange_.answer(head, now_s_).bytes, exchange_.answer(head, now_s_).bytes);
}

TEST_F(HttpExchangeTest, BeginsAStreamOfEvents) {
  const auto reply =
      exchange_.answer("GET /events HTTP/1.1\r\nHost: localhost:4242\r\n\r\n", now_s_);
  EXPECT_TRUE(reply.streams);
  EXPECT_THAT(*reply.bytes, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(*reply.bytes, HasSubstr("\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_THAT(*reply.bytes, HasSubstr("\r\nContent-Security-Policy: default-src 'none'"));
  EXPECT_THAT(*reply.bytes, ::testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(*reply.bytes, Not(HasSubstr("Content-Length")));
  EXPECT_EQ(exchange_.event(now_s_), "event: status\ndata: {}\n\n");
  EXPECT_FALSE(exchange_.answer("GET /events HTTP/1.1\r\nHost: evil\r\n\r\n", now_s_).streams);
}

}  // namespace
}  // namespace lockstep
