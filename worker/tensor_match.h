#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/manifest.h"

namespace lockstep {

// Pure: a line for each tensor of the checkpoint or of the model that the other side lacks or has
// with another dtype or shape, in order of name. Empty: they fit.
std::vector<std::string> misfits(std::span<const TensorInfo> checkpoint,
                                 std::span<const TensorInfo> model);

// Pure: Error(kMismatch) that names `what` and the first 20 misfits, a line each; none: returns.
void require_fit(std::string_view what, std::span<const TensorInfo> checkpoint,
                 std::span<const TensorInfo> model);

}  // namespace lockstep
