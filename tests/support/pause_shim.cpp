// Preloaded into a program, stops it by SIGSTOP right before its N-th call of rename, unlink or
// rmdir on a path that holds ".trash-"; LOCKSTEP_PAUSE_AT is N, from 1. So a deletion can be held
// at any of its steps, whichever thread makes it.

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "tests/support/preloaded.h"

namespace {

using lockstep::testing::real;

void pause_if_due(const char* path) {
  static std::atomic<int> calls{0};
  static const char* at = std::getenv("LOCKSTEP_PAUSE_AT");  // NOLINT(concurrency-mt-unsafe)
  if (at == nullptr || std::strstr(path, ".trash-") == nullptr) return;
  if (++calls == std::atoi(at)) ::kill(::getpid(), SIGSTOP);
}

}  // namespace

extern "C" {

int rename(const char* from, const char* to) noexcept {
  pause_if_due(to);
  return real<int(const char*, const char*)>("rename")(from, to);
}

int unlink(const char* path) noexcept {
  pause_if_due(path);
  return real<int(const char*)>("unlink")(path);
}

int rmdir(const char* path) noexcept {
  pause_if_due(path);
  return real<int(const char*)>("rmdir")(path);
}
}
