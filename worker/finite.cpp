#include "worker/finite.h"

#include <cstdint>
#include <cstring>

#include "worker/stream_copy.h"

namespace lockstep {

namespace {

// NaN and Inf are what has all bits of the exponent set. Sixteen bytes at a time: what a compiler
// makes of a plain loop at -O2 costs as much as to copy the bytes.
template <typename Bits>
class FullExponents {
 public:
  explicit FullExponents(Bits exponent) : exponent_(exponent), mask_(Lanes{} + exponent) {}

  // `bytes` begin with an element.
  void see(std::span<const std::byte> bytes) {
    std::size_t at = 0;
    for (; at + sizeof(Lanes) <= bytes.size(); at += sizeof(Lanes)) {
      Lanes lanes;
      std::memcpy(&lanes, &bytes[at], sizeof lanes);
      full_ |= reinterpret_cast<Lanes>((lanes & mask_) == mask_);
    }
    for (; at + sizeof(Bits) <= bytes.size(); at += sizeof(Bits)) {
      Bits bits = 0;
      std::memcpy(&bits, &bytes[at], sizeof bits);
      if ((bits & exponent_) == exponent_) full_ |= ~Lanes{};
    }
  }
  bool any() const {
    bool any = false;
    for (std::size_t i = 0; i < sizeof(Lanes) / sizeof(Bits); ++i)
      any = any || full_[i] != 0;
    return any;
  }

 private:
  using Lanes [[gnu::vector_size(16)]] = Bits;
  Bits exponent_;
  Lanes mask_;
  Lanes full_{};
};

// look(FullExponents) for a floating type.
template <typename Look, typename Integer>
bool by_type(Dtype dtype, Look look, Integer integer) {
  switch (dtype) {
    case Dtype::kF64:
      return look(FullExponents<std::uint64_t>(0x7ff0'0000'0000'0000));
    case Dtype::kF32:
      return look(FullExponents<std::uint32_t>(0x7f80'0000));
    case Dtype::kF16:
      return look(FullExponents<std::uint16_t>(0x7c00));
    case Dtype::kBf16:
      return look(FullExponents<std::uint16_t>(0x7f80));
    default:
      return integer();
  }
}

}  // namespace

bool all_finite(Dtype dtype, std::span<const std::byte> bytes) {
  return by_type(
      dtype,
      [&](auto full) {
        full.see(bytes);
        return !full.any();
      },
      [] { return true; });
}

bool stream_copy_finite(Dtype dtype, std::span<const std::byte> from, std::byte* to) {
  return by_type(
      dtype,
      [&](auto full) {
        stream_copy(from, to, [&](std::span<const std::byte> bytes) { full.see(bytes); });
        return !full.any();
      },
      [&] {
        stream_copy(from, to);
        return true;
      });
}

}  // namespace lockstep
