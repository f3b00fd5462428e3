#pragma once

#include "coordinator/status/listen_address.h"

namespace lockstep {

// A socket that listens. Local.
class ListeningSocket {
 public:
  // Error(kIo, kInvalidConfig) with the cause, and advice where there is one.
  explicit ListeningSocket(const ListenAddress& wanted);
  ~ListeningSocket();  // removes a socket's file, where it is still this one's
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  int descriptor() const { return descriptor_; }
  const ListenAddress& address() const { return address_; }  // with the port that was found
  // The next connection, never waited for: a descriptor that does not block; -1: none, and errno
  // says whether there is none or none can be had (EMFILE and its like).
  int accept() const;

 private:
  void listen_on_loopback();
  void listen_on_path();

  ListenAddress address_;
  int descriptor_ = -1;
  unsigned long long inode_ = 0;  // of the socket's file
};

// Local: tries to listen there, and ends again; errors as above. false: not tried, since there is a
// socket's file, which may be of a job on another host, whom nobody can ask from this one.
bool try_listening(const ListenAddress& wanted);

}  // namespace lockstep
