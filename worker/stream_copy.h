#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace lockstep {

// memcpy past the cache, for what is not looked at soon: the processor need not read a line before
// it writes it, and what others have in the cache stays there. `to` may be of any alignment; other
// threads see it as after memcpy. `see` is called with each stretch before it is copied, in order,
// most of them of 64 bytes: memory being the limit, what it does there costs next to nothing.
template <typename See>
void stream_copy(std::span<const std::byte> from, std::byte* to, See see) {
#ifdef __SSE2__
  // Whole lines of the cache: a part of one would be read before it is written.
  constexpr std::size_t kLine = 64;
  const auto behind = reinterpret_cast<std::uintptr_t>(to) % kLine;
  const auto head = std::min(from.size(), behind == 0 ? 0 : kLine - behind);
  if (head > 0) {
    see(from.first(head));
    std::memcpy(to, from.data(), head);
  }
  auto at = head;
  for (; at + kLine <= from.size(); at += kLine) {
    see(from.subspan(at).first(kLine));
    const auto* const source = reinterpret_cast<const __m128i*>(&from[at]);
    auto* const target = reinterpret_cast<__m128i*>(to + at);
    const auto a = _mm_loadu_si128(source);
    const auto b = _mm_loadu_si128(source + 1);
    const auto c = _mm_loadu_si128(source + 2);
    const auto d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  // Such stores are not ordered with what follows until then.
  _mm_sfence();
  from = from.subspan(at);
  to += at;
#endif
  if (from.empty()) return;
  see(from);
  std::memcpy(to, from.data(), from.size());
}

inline void stream_copy(std::span<const std::byte> from, std::byte* to) {
  stream_copy(from, to, [](std::span<const std::byte>) {});
}

}  // namespace lockstep
