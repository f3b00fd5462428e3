#pragma once

#include <array>
#include <stdexcept>
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "coordinator/status/listen_address.h"

namespace lockstep::testing {

// A client with a socket of its own; waits at most some seconds for anything.
class HttpClient {
 public:
  explicit HttpClient(const ListenAddress& server) {
    descriptor_ = ::socket(server.is_unix() ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    constexpr timeval kPatience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    sockaddr_un path{};
    sockaddr_in port{};
    path.sun_family = AF_UNIX;
    server.socket_path.copy(static_cast<char*>(path.sun_path), sizeof path.sun_path - 1);
    port.sin_family = AF_INET;
    port.sin_port = htons(server.port);
    port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const void* name = server.is_unix() ? static_cast<void*>(&path) : static_cast<void*>(&port);
    const auto size = static_cast<socklen_t>(server.is_unix() ? sizeof path : sizeof port);
    if (::connect(descriptor_, static_cast<const sockaddr*>(name), size) != 0)
      throw std::runtime_error("no connection to " + to_text(server));
  }
  ~HttpClient() { ::close(descriptor_); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void send(const std::string& bytes) const {
    ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void get(const std::string& path) const {
    send("GET " + path + " HTTP/1.1\r\nHost: localhost:" + port_of() + "\r\n\r\n");
  }
  std::string some() const {
    std::array<char, 65536> bytes{};
    const auto got = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    return got > 0 ? std::string(bytes.data(), static_cast<std::size_t>(got)) : "";
  }
  std::string all() const {
    std::string text;
    for (auto part = some(); !part.empty(); part = some())
      text += part;
    return text;
  }

 private:
  std::string port_of() const {
    sockaddr_in name{};
    socklen_t size = sizeof name;
    ::getpeername(descriptor_, static_cast<sockaddr*>(static_cast<void*>(&name)), &size);
    return std::to_string(ntohs(name.sin_port));
  }

  int descriptor_ = -1;
};

}  // namespace lockstep::testing
