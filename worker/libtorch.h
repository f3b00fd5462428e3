#pragma once

#include <string>

namespace lockstep {

// "LibTorch 2.15.0"; what it was built with, which the loader lets differ in the last number alone.
std::string libtorch_version();

}  // namespace lockstep
