#pragma once

#include <functional>
#include <memory>
#include <string>

#include "coordinator/status/listen_address.h"

namespace lockstep {

struct HttpAnswer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::string policy;  // Content-Security-Policy; "": nothing may be loaded
};

// What is served. Both are called on the server's thread and must be quick. Where one throws the
// connections that there are end, and the server goes on.
struct HttpContent {
  std::function<HttpAnswer(const std::string& path)> answer;  // status 404: there is no such path
  std::function<std::string()> event;  // what /events sends at once and then each second
};

// A status server: one thread of its own that serves GET by the rules of http_rules.h, a request a
// connection, and never waits for a client. Where all connections are taken the oldest that has
// not asked for anything yet makes room, so that idle ones can't shut others out. The thread is
// nice'd, takes no signals and no lock of anybody's. What is HTTP's own is Boost.Beast's.
//
// Memory: at most kMostConnections answers at a time.
class HttpServer {
 public:
  // Local. Listens at once. A socket's file has mode 0600; one that nobody serves any more is
  // replaced. Error(kIo) where it can't listen: the port or the socket is taken, or not to be had.
  HttpServer(const ListenAddress& wanted, HttpContent content);
  ~HttpServer();  // the thread is gone, the socket's file removed
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  const ListenAddress& address() const;  // with the port that was found

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
