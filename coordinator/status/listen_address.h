#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// Where a status server listens: on this host's loopback, or on a socket in the file system.
struct ListenAddress {
  std::string socket_path;  // "": loopback
  std::uint16_t port = 0;   // of loopback; 0: any that is free

  bool is_unix() const { return !socket_path.empty(); }
};

// Pure: "127.0.0.1:PORT" or "unix:PATH", as control.listen has them; nullopt: neither.
std::optional<ListenAddress> parse_listen_address(std::string_view text);

// Pure: the same, back.
std::string to_text(const ListenAddress& address);

// Pure: how to reach one on `host` from elsewhere: "ssh -L 9400:127.0.0.1:9400 HOST, then the same
// address".
std::string way_from_elsewhere(const ListenAddress& address, const std::string& host);

// Pure: whether a request's Host names this server. Exact, with the port: a page from elsewhere
// whose name was made to lead here (DNS rebinding) says its own name. A socket's clients say
// localhost, with whatever port was forwarded to it.
bool is_host_of(std::string_view host, const ListenAddress& address);

}  // namespace lockstep
