#include "worker/finite.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace lockstep {

namespace {

// NaN and Inf are what has all bits of the exponent set. The branch is outside the inner loop,
// whose length is fixed, so that compilers vectorise it at -O2.
template <typename Bits>
bool no_full_exponent(std::span<const std::byte> bytes, Bits exponent) {
  constexpr std::size_t kRun = 1024;
  const auto full = [exponent](const std::byte* at) {
    Bits bits = 0;
    std::memcpy(&bits, at, sizeof bits);
    return static_cast<Bits>((bits & exponent) == exponent ? 1 : 0);
  };
  const auto count = bytes.size() / sizeof(Bits);
  std::size_t i = 0;
  for (; i + kRun <= count; i += kRun) {
    const auto* run = bytes.data() + i * sizeof(Bits);
    Bits found = 0;
    for (std::size_t k = 0; k < kRun; ++k)
      found = static_cast<Bits>(found | full(run + k * sizeof(Bits)));
    if (found != 0) return false;
  }
  for (; i < count; ++i)
    if (full(bytes.data() + i * sizeof(Bits)) != 0) return false;
  return true;
}

}  // namespace

bool all_finite(Dtype dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case Dtype::kF64:
      return no_full_exponent<std::uint64_t>(bytes, 0x7ff0'0000'0000'0000);
    case Dtype::kF32:
      return no_full_exponent<std::uint32_t>(bytes, 0x7f80'0000);
    case Dtype::kF16:
      return no_full_exponent<std::uint16_t>(bytes, 0x7c00);
    case Dtype::kBf16:
      return no_full_exponent<std::uint16_t>(bytes, 0x7f80);
    default:
      return true;
  }
}

}  // namespace lockstep
