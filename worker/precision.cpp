#include "worker/precision.h"

#include <ATen/autocast_mode.h>

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

}  // namespace lockstep
