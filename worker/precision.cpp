#include "worker/precision.h"

#include <ATen/autocast_mode.h>

namespace lockstep {

Autocast::Autocast(bool bf16) : bf16_(bf16), outside_(at::autocast::is_autocast_enabled(at::kCPU)) {
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, bf16);
}

Autocast::~Autocast() {
  // Parameters are cast once for all who use them; the next forward has others.
  if (bf16_) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, outside_);
}

}  // namespace lockstep
