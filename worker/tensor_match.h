#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/manifest.h"
#include "common/selection.h"

namespace lockstep {

// What is loaded from: a checkpoint or a file of weights.
struct TensorOffer {
  std::string name;                 // for texts: "3@1200", a path
  std::string kind = "checkpoint";  // for texts: "in the checkpoint"
  std::vector<TensorInfo> tensors;
};

// Pure: a line for each tensor of the offer or of the model that the other side lacks or has with
// another dtype or shape, in order of name. What the selection leaves out is compared on neither
// side. Empty: they fit.
std::vector<std::string> misfits(const TensorOffer& offer, std::span<const TensorInfo> model,
                                 const Selection& selection);

// Pure: Error(kMismatch) that names the offer and the first 20 misfits, a line each, and each glob
// of restore.exclude that matches nothing; none: returns.
void require_fit(const TensorOffer& offer, std::span<const TensorInfo> model,
                 const Selection& selection);

}  // namespace lockstep
