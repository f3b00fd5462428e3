#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "coordinator/status/listen_address.h"

namespace lockstep {

// What the status server takes from a client. Reading is all that there is to ask for: whoever may
// write the store asks through it. Loopback is no boundary on a shared node, and a browser carries
// other people's pages; hence Host, and no Origin. RELIABILITY, "HTTP and control".

constexpr std::size_t kMostOfALineBytes = 4096;  // the request line
constexpr std::size_t kMostOfAHeadBytes = 8192;  // all of the head
constexpr std::size_t kMostConnections = 32;
constexpr std::size_t kMostStreams = 16;  // of those, /events
constexpr double kReadSeconds = 5;        // from the connection to the head's end

// Pure: how many connections a process may keep open that may have so many descriptors: the
// training's files come first, whoever connects.
std::size_t connections_for(std::size_t descriptors);

// Pure: whether what has come of a head breaks a limit already: 414 or 431; 0: not so far.
int limit_broken(std::string_view head_so_far);

// Pure: whether a whole head's lines are what every reader takes for the same: each ends with CRLF,
// none goes on in the next one, no other control characters but tabs. What differs from reader to
// reader hides headers from one of them: 400.
bool is_well_formed(std::string_view head);

// What the rules look at in a request.
struct RequestFacts {
  std::string_view method;
  std::span<const std::string> hosts;  // the values of all its Host headers
  bool has_origin = false;
  bool has_body = false;  // or says that one comes
};

// Pure: 200, or the status that refuses it: 405 not GET, 400 no Host, an empty one, or several,
// 403 a foreign Host or any Origin, 413 a body. The method first: what is not GET is not looked at.
int judge(const RequestFacts& request, const ListenAddress& address);

// Pure: one line for whoever is refused: what is wrong, and what to do.
std::string refusal_text(int status, const ListenAddress& address);

}  // namespace lockstep
