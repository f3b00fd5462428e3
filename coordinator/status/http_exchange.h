#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "coordinator/status/http_server.h"

namespace lockstep {

// From a request's head to an answer's bytes: what is HTTP's own is Boost.Beast's, which is not
// seen from outside. No sockets. For one thread.
class HttpExchange {
 public:
  // `content` must outlive it.
  HttpExchange(ListenAddress address, const HttpContent& content);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  struct Reply {
    // Of the whole answer; of its head, where it streams. Shared by all that get the same: clients
    // that read slowly take no memory of their own.
    std::shared_ptr<const std::string> bytes;
    bool streams = false;  // events follow
  };
  // `head`: to its empty line, or as far as it came when it broke a limit. Whatever it is there is
  // an answer. What was made less than a tenth of a second ago is given again: a flood costs
  // little.
  Reply answer(std::string_view head, double now_s);

  std::shared_ptr<const std::string> refusal(int status) const;
  // One, as it is sent; as fresh as an answer, and the last one of all quite fresh.
  std::string event(double now_s, bool last = false);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
