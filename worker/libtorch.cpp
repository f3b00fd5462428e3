#include "worker/libtorch.h"

#include <torch/version.h>

namespace lockstep {

std::string libtorch_version() {
  return "LibTorch " TORCH_VERSION;
}

}  // namespace lockstep
