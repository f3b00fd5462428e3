#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace lockstep {

// Zeroed memory that never moves, aligned to 64 bytes.
//
// Of a size from 4 MiB on it is mapped on its own: the kernel zeroes a page when it is first
// touched, so nothing is written twice, and is asked for huge pages, which are few faults instead
// of hundreds of thousands (a third of the time to the first iteration at 2 GB of state). Smaller
// ones come from the heap, where a sanitizer sees their borders.
class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t bytes);  // std::bad_alloc
  std::span<std::byte> all() const { return {data_.get(), size_}; }
  // Has the kernel give all of it now; nobody may write to it meanwhile.
  void touch() const;

 private:
  struct Free {
    Free() : Free(0, nullptr) {}
    Free(std::size_t bytes, std::byte* first) : mapped(bytes), begin(first) {}
    std::size_t mapped;  // 0: of the heap
    std::byte* begin;    // of what is mapped
    void operator()(std::byte* data) const;
  };
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[], Free> data_;
};

}  // namespace lockstep
