#include "common/pages.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include <sys/mman.h>

namespace lockstep {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kMapped = 2 * kHugePage;  // from this size on

}  // namespace

Pages::Pages(std::size_t bytes) : size_(bytes) {
  if (bytes < kMapped) {
    auto* const data = new (kAlignment) std::byte[std::max<std::size_t>(1, bytes)]();
    data_ = {data, Free()};
    return;
  }
  // A huge page more, so that the first one can be whole; what is not touched costs nothing.
  auto space = bytes + kHugePage;
  void* const mapped =
      ::mmap(nullptr, space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  const Free free(space, static_cast<std::byte*>(mapped));
  void* aligned = mapped;
  std::align(kHugePage, bytes, aligned, space);
  // Refused where the kernel has none; then it is the usual pages.
  ::madvise(aligned, bytes, MADV_HUGEPAGE);
  data_ = {static_cast<std::byte*>(aligned), free};
}

void Pages::touch() const {
  constexpr std::size_t kPage = 4096;
  if (data_.get_deleter().mapped == 0) return;  // zeroed when it was made
#ifdef MADV_POPULATE_WRITE
  if (::madvise(data_.get(), size_, MADV_POPULATE_WRITE) == 0) return;
#endif
  for (std::size_t at = 0; at < size_; at += kPage) {
    auto* const page = static_cast<volatile std::byte*>(&data_[at]);
    *page = std::byte{0};
  }
}

void Pages::Free::operator()(std::byte* data) const {
  if (mapped == 0) {
    ::operator delete[](data, kAlignment);
  } else {
    ::munmap(begin, mapped);
  }
}

}  // namespace lockstep
