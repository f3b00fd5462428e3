#include "worker/precision.h"

#include <ATen/autocast_mode.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace lockstep {

namespace {

void enable(bool bf16) {
  for (const auto device : {at::kCPU, at::kCUDA}) {
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
    at::autocast::set_autocast_enabled(device, bf16);
  }
}

}  // namespace

Autocast::Autocast(bool bf16) : bf16_(bf16), outside_(at::autocast::is_autocast_enabled(at::kCPU)) {
  enable(bf16);
}

Autocast::~Autocast() {
  // Parameters are cast once for all who use them; the next forward has others.
  if (bf16_) at::autocast::clear_cache();
  enable(outside_);
}

bool cpu_has_bf16() {
#if defined(__x86_64__)
  constexpr unsigned kAvx512Bf16 = 1U << 5U;  // leaf 7, 1: eax
  constexpr unsigned kAmxBf16 = 1U << 22U;    // leaf 7, 0: edx
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAmxBf16) != 0) return true;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvx512Bf16) != 0;
#else
  return true;  // not known to be slow
#endif
}

}  // namespace lockstep
