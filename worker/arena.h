#pragma once

#include <cstddef>
#include <span>
#include <thread>

#include "common/pages.h"

namespace lockstep {

// A rank's memory for its own bytes of one checkpoint: what a save copies so that training goes on,
// and what a load of foreign weights stages. Taken and touched once, then used again and again: the
// first touch of a page costs several times as much as the copy (PERFORMANCE.md 3). Local; one user
// at a time.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Takes the memory and has a thread touch it, so that the first save need not. std::bad_alloc.
  void prepare(std::size_t bytes);
  // At least what was taken last stays in place. Waits for prepare's thread. std::bad_alloc.
  std::span<std::byte> take(std::size_t bytes);
  void release();  // gives the memory back

 private:
  void join();
  Pages pages_;
  std::thread toucher_;
};

}  // namespace lockstep
