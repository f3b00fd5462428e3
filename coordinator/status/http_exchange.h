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
    std::string bytes;     // of the whole answer; of its head, where it streams
    bool streams = false;  // events follow
  };
  // `head`: to its empty line, or as far as it came when it broke a limit. Whatever it is there is
  // an answer. What was made less than a tenth of a second ago is given again: a flood costs
  // little.
  Reply answer(std::string_view head, double now_s);

  std::string refusal(int status) const;
  std::string event(double now_s);  // one, as it is sent; as fresh as an answer

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
