#include "coordinator/watchdog/udp_socket.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include "common/error.h"

namespace lockstep {
namespace {

template <typename Address>
UdpPeer as_peer(const Address& address) {
  UdpPeer peer;
  std::memcpy(&peer.address, &address, sizeof address);
  peer.bytes = sizeof address;
  return peer;
}

UdpPeer any_address(int family) {
  if (family == AF_INET6) {
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_addr = in6addr_any;
    return as_peer(any);
  }
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_ANY);
  return as_peer(any);
}

sockaddr* raw(UdpPeer& peer) {
  return reinterpret_cast<sockaddr*>(&peer.address);
}
const sockaddr* raw(const UdpPeer& peer) {
  return reinterpret_cast<const sockaddr*>(&peer.address);
}

// A bound socket of the family, -1 where there is none to be had.
int bound_socket(int family) {
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int no = 0;
  if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  const auto any = any_address(family);
  if (::bind(fd, raw(any), any.bytes) == 0) return fd;
  const int why = errno;
  ::close(fd);
  errno = why;
  return -1;
}

std::uint16_t port_of(const UdpPeer& peer) {
  in_port_t port = 0;
  const auto at = peer.address.ss_family == AF_INET6 ? offsetof(sockaddr_in6, sin6_port)
                                                     : offsetof(sockaddr_in, sin_port);
  std::memcpy(&port, reinterpret_cast<const char*>(&peer.address) + at, sizeof port);
  return ntohs(port);
}

}  // namespace

UdpSocket::UdpSocket() : fd_(bound_socket(AF_INET6)), family_(AF_INET6) {
  if (fd_ < 0) {
    fd_ = bound_socket(AF_INET);
    family_ = AF_INET;
  }
  if (fd_ < 0) throw Error(ErrorCode::kIo, std::string("no UDP socket: ") + std::strerror(errno));
  UdpPeer own;
  own.bytes = sizeof own.address;
  if (::getsockname(fd_, raw(own), &own.bytes) == 0) port_ = port_of(own);
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), family_(other.family_), port_(other.port_) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(family_, other.family_);
  std::swap(port_, other.port_);
  return *this;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<UdpPeer> UdpSocket::peer(const std::string& host, std::uint16_t port) const {
  if (family_ == AF_INET) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &to.sin_addr) != 1) return std::nullopt;
    return as_peer(to);
  }
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(port);
  const bool is_v4 = host.find(':') == std::string::npos;
  const auto text = is_v4 ? "::ffff:" + host : host;
  if (::inet_pton(AF_INET6, text.c_str(), &to.sin6_addr) != 1) return std::nullopt;
  return as_peer(to);
}

void UdpSocket::send(std::span<const std::byte> bytes, const UdpPeer& to) const noexcept {
  ::sendto(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL, raw(to), to.bytes);
}

std::optional<std::size_t> UdpSocket::receive(std::span<std::byte> into,
                                              UdpPeer& from) const noexcept {
  // An error of an earlier send (nobody listens there) is reported here once: not a packet.
  for (int tries = 0; tries < 3; ++tries) {
    from.bytes = sizeof from.address;
    const auto size = ::recvfrom(fd_, into.data(), into.size(), MSG_TRUNC, raw(from), &from.bytes);
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
  }
  return std::nullopt;
}

std::vector<std::string> own_addresses() {
  constexpr std::size_t kMost = 16;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  std::vector<std::string> found;
  for (const auto* at = list; at != nullptr && found.size() < kMost; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
    if ((at->ifa_flags & IFF_LOOPBACK) != 0) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* number = nullptr;
    if (at->ifa_addr->sa_family == AF_INET) {
      number = &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr;
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = &reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr;
      if (IN6_IS_ADDR_LINKLOCAL(v6)) continue;
      number = v6;
    }
    if (number == nullptr) continue;
    if (::inet_ntop(at->ifa_addr->sa_family, number, text.data(), text.size()) != nullptr)
      found.emplace_back(text.data());
  }
  return found;
}

}  // namespace lockstep
