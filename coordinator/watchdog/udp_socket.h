#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/socket.h>

namespace lockstep {

// Where packets go to and come from.
struct UdpPeer {
  sockaddr_storage address{};
  socklen_t bytes = 0;
};

// A socket on an ephemeral port of all this host's addresses, IPv6 and IPv4, IPv4 alone where the
// host has no IPv6. Never blocks. Move-only.
class UdpSocket {
 public:
  UdpSocket();  // Error(kIo)
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket();

  int fd() const noexcept { return fd_; }
  std::uint16_t port() const noexcept { return port_; }

  // nullopt where this socket can't reach such an address. `host`: a number, never a name.
  std::optional<UdpPeer> peer(const std::string& host, std::uint16_t port) const;

  // What can't be sent is lost, as it may be on the way.
  void send(std::span<const std::byte> bytes, const UdpPeer& to) const noexcept;
  // The size of the next packet, which may be more than `into` took of it; nullopt: none is there.
  std::optional<std::size_t> receive(std::span<std::byte> into, UdpPeer& from) const noexcept;

 private:
  int fd_ = -1;
  int family_ = 0;
  std::uint16_t port_ = 0;
};

// Local: the numbers under which other hosts may reach this one, at most 16; without loopback and
// those that mean nothing without an interface. Empty where they can't be told.
std::vector<std::string> own_addresses();

}  // namespace lockstep
