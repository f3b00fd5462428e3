#include "worker/arena.h"

#include <system_error>

namespace lockstep {

Arena::~Arena() {
  join();
}

void Arena::join() {
  if (toucher_.joinable()) toucher_.join();
}

void Arena::prepare(std::size_t bytes) {
  join();
  if (bytes <= pages_.all().size()) return;
  pages_ = Pages();
  pages_ = Pages(bytes);
  try {
    toucher_ = std::thread([this] { pages_.touch(); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // A limit on threads: the first save touches it.
  }
}

std::span<std::byte> Arena::take(std::size_t bytes) {
  join();
  if (bytes > pages_.all().size()) {
    pages_ = Pages();  // first, so that there is never the memory of both
    pages_ = Pages(bytes);
  }
  return pages_.all().first(bytes);
}

void Arena::release() {
  join();
  pages_ = Pages();
}

}  // namespace lockstep
