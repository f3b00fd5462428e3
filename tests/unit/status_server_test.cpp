#include <atomic>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "coordinator/status/http_rules.h"
#include "coordinator/status/http_server.h"
#include "tests/support/http_client.h"
#include "tests/support/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;
using testing::HttpClient;
using ::testing::StartsWith;
using testing::TemporaryFolder;

HttpContent content() {
  return {[](const std::string& path) {
            if (path == "/large")
              return HttpAnswer{200, "text/plain", std::string(8 << 20, 'x'), ""};
            return path == "/status" ? HttpAnswer{200, "application/json", "{}", ""}
                                     : HttpAnswer{404, "", "", ""};
          },
          [] { return std::string("{}"); }};
}

std::string answer_to(const HttpServer& server, const std::string& path) {
  const HttpClient client(server.address());
  client.get(path);
  return client.all();
}

TEST(HttpServerTest, ServesOnAPortThatItFinds) {
  const HttpServer server({"", 0}, content());
  ASSERT_NE(server.address().port, 0);
  EXPECT_THAT(answer_to(server, "/status"), ::testing::EndsWith("\r\n\r\n{}"));
  EXPECT_THAT(answer_to(server, "/other"), StartsWith("HTTP/1.1 404"));
}

TEST(HttpServerTest, ATakenPortIsAnErrorWithAdvice) {
  const HttpServer server({"", 0}, content());
  try {
    const HttpServer second(server.address(), content());
    FAIL() << "two on a port";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_THAT(e.what(), HasSubstr("or 0 for any that is free"));
  }
}

TEST(HttpServerTest, ASocketIsTheUsersAloneAndGoesWithItsServer) {
  const TemporaryFolder folder;
  const ListenAddress address{folder / "s", 0};
  {
    const HttpServer server(address, content());
    struct stat found {};
    ASSERT_EQ(::lstat(address.socket_path.c_str(), &found), 0);
    EXPECT_TRUE(S_ISSOCK(found.st_mode));
    EXPECT_EQ(found.st_mode & 0777U, 0600U);
    const HttpClient client(address);
    client.send("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(client.all(), StartsWith("HTTP/1.1 200"));
    EXPECT_THROW(HttpServer(address, content()), Error) << "another server is there";
  }
  EXPECT_FALSE(std::filesystem::exists(address.socket_path));
}

TEST(HttpServerTest, ASocketThatNobodyServesIsReplacedAndAFileIsNot) {
  const TemporaryFolder folder;
  const ListenAddress address{folder / "s", 0};
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  address.socket_path.copy(static_cast<char*>(name.sun_path), sizeof name.sun_path - 1);
  ASSERT_EQ(::bind(dead, static_cast<sockaddr*>(static_cast<void*>(&name)), sizeof name), 0);
  ::close(dead);
  { const HttpServer server(address, content()); }
  std::filesystem::create_directory(address.socket_path);
  EXPECT_THROW(HttpServer(address, content()), Error);
  EXPECT_TRUE(std::filesystem::is_directory(address.socket_path));
  EXPECT_THROW(HttpServer({folder / std::string(200, 'x'), 0}, content()), Error);
}

TEST(HttpServerTest, IdleClientsDoNotShutOthersOut) {
  const HttpServer server({"", 0}, content());
  std::vector<std::unique_ptr<HttpClient>> idle;
  for (std::size_t i = 0; i < 6 * kMostConnections; ++i) {
    idle.push_back(std::make_unique<HttpClient>(server.address()));
    idle.back()->send("GET /sta");
  }
  EXPECT_THAT(answer_to(server, "/status"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, AClientThatTakesNothingDoesNotHoldUpOthers) {
  const HttpServer server({"", 0}, content());
  const HttpClient lazy(server.address());
  lazy.get("/large");
  EXPECT_THAT(answer_to(server, "/status"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(lazy.all().size(), answer_to(server, "/large").size()) << "it may still have it all";
}

TEST(HttpServerTest, OutlivesAnAnswerThatThrows) {
  auto given = content();
  given.answer = [answer = given.answer](const std::string& path) {
    if (path == "/throws") throw std::bad_alloc();
    return answer(path);
  };
  const HttpServer server({"", 0}, given);
  EXPECT_EQ(answer_to(server, "/throws"), "");
  EXPECT_THAT(answer_to(server, "/status"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, EventsComeAtOnceAndGoOn) {
  const HttpServer server({"", 0}, content());
  const HttpClient client(server.address());
  client.get("/events");
  std::string text;
  while (text.find("data: {}\n\nevent: status") == std::string::npos) {
    const auto more = client.some();
    ASSERT_FALSE(more.empty()) << text;
    text += more;
  }
}

TEST(HttpServerTest, WhoeverLooksOnGetsALastEventAtTheEnd) {
  std::atomic<bool> over = false;
  auto given = content();
  given.event = [&over] { return std::string(over ? "{\"over\": true}" : "{}"); };
  auto server = std::make_unique<HttpServer>(ListenAddress{"", 0}, given);
  const HttpClient client(server->address());
  client.get("/events");
  client.some();
  over = true;
  server.reset();
  EXPECT_THAT(client.all(), HasSubstr("data: {\"over\": true}\n\n"));
}

TEST(HttpServerTest, TooManyStreamsAreRefusedAndAnswersGoOn) {
  const HttpServer server({"", 0}, content());
  std::vector<std::unique_ptr<HttpClient>> streams;
  for (std::size_t i = 0; i < kMostStreams; ++i) {
    streams.push_back(std::make_unique<HttpClient>(server.address()));
    streams.back()->get("/events");
    EXPECT_THAT(streams.back()->some(), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_THAT(answer_to(server, "/events"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer_to(server, "/status"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, ABodyIsLeftUnreadAndTheRefusalArrives) {
  const HttpServer server({"", 0}, content());
  const HttpClient client(server.address());
  client.send("POST /status HTTP/1.1\r\nHost: localhost:" + std::to_string(server.address().port) +
              "\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x'));
  EXPECT_THAT(client.all(), StartsWith("HTTP/1.1 405"));
}

}  // namespace
}  // namespace lockstep
