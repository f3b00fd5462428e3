#include "coordinator/status/listening_socket.h"

#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"

namespace lockstep {

namespace {

constexpr int kBacklog = 64;

[[noreturn]] void fail(const ListenAddress& address, int error) {
  auto text = to_text(address) + ": " + std::strerror(error);  // NOLINT(concurrency-mt-unsafe)
  if (error == EADDRINUSE)
    text += address.is_unix() ? "; another server is there: name another path"
                              : "; take another port, or 0 for any that is free";
  if (error == ENOENT) text += "; make the folder first";
  if (error == EACCES) text += "; name one that you may write to";
  const bool is_mistake = error == ENOENT || error == EACCES;
  throw Error(is_mistake ? ErrorCode::kInvalidConfig : ErrorCode::kIo, text);
}

int new_socket(int family, const ListenAddress& address) {
  const int descriptor = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail(address, errno);
  return descriptor;
}

const sockaddr* generic(const void* address) {
  return static_cast<const sockaddr*>(address);
}

// Whether a server still answers on a socket's file.
bool is_served(const sockaddr_un& name) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return true;
  const bool refused = ::connect(probe, generic(&name), sizeof name) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return !refused;
}

}  // namespace

ListeningSocket::ListeningSocket(const ListenAddress& wanted) : address_(wanted) {
  try {
    address_.is_unix() ? listen_on_path() : listen_on_loopback();
  } catch (const Error&) {
    if (descriptor_ >= 0) ::close(descriptor_);
    throw;
  }
}

void ListeningSocket::listen_on_loopback() {
  descriptor_ = new_socket(AF_INET, address_);
  const int one = 1;  // a port of a server that ended just now is free
  ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(address_.port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  if (::bind(descriptor_, generic(&name), size) != 0 || ::listen(descriptor_, kBacklog) != 0 ||
      ::getsockname(descriptor_, static_cast<sockaddr*>(static_cast<void*>(&name)), &size) != 0)
    fail(address_, errno);
  address_.port = ntohs(name.sin_port);
}

void ListeningSocket::listen_on_path() {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const auto& path = address_.socket_path;
  if (path.size() >= sizeof name.sun_path)
    throw Error(ErrorCode::kIo, to_text(address_) + ": a socket's path has at most " +
                                    std::to_string(sizeof name.sun_path - 1) +
                                    " bytes; name a shorter one");
  path.copy(static_cast<char*>(name.sun_path), path.size());
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode))
      throw Error(ErrorCode::kIo,
                  to_text(address_) + ": something else is there, and stays: name another path");
    if (is_served(name)) fail(address_, EADDRINUSE);
    ::unlink(path.c_str());
  }
  descriptor_ = new_socket(AF_UNIX, address_);
  // The mode of the file is the descriptor's at bind: at no moment may others connect.
  if (::fchmod(descriptor_, S_IRUSR | S_IWUSR) != 0 ||
      ::bind(descriptor_, generic(&name), sizeof name) != 0 ||
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0)
    fail(address_, errno);
  if (::lstat(path.c_str(), &found) == 0) inode_ = found.st_ino;
  if (::listen(descriptor_, kBacklog) != 0) fail(address_, errno);
}

ListeningSocket::~ListeningSocket() {
  ::close(descriptor_);
  struct stat found {};
  const auto& path = address_.socket_path;
  if (address_.is_unix() && ::lstat(path.c_str(), &found) == 0 && found.st_ino == inode_)
    ::unlink(path.c_str());
}

bool try_listening(const ListenAddress& wanted) {
  struct stat found {};
  if (wanted.is_unix() && ::lstat(wanted.socket_path.c_str(), &found) == 0 &&
      S_ISSOCK(found.st_mode))
    return false;
  const ListeningSocket tried(wanted);
  return true;
}

int ListeningSocket::accept() const {
  const int found = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  const int most_bytes = 1 << 18;  // that the kernel keeps for a client that does not read
  if (found >= 0) ::setsockopt(found, SOL_SOCKET, SO_SNDBUF, &most_bytes, sizeof most_bytes);
  return found;
}

}  // namespace lockstep
