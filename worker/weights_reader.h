#pragma once

#include <span>

#include "common/file_system.h"
#include "common/weights.h"
#include "worker/arena.h"

namespace lockstep {

// Pure: the weights with their tensors named as the model's are. Names that are the model's are
// taken as they are, else "model." or "buffer." is put in front of all: whichever names more of the
// model's tensors. Scope model leaves out state of an optimizer.
Weights named_as_in_model(const Weights& weights, std::span<const TensorInfo> model);

// Local: the wanted pieces, one after the other. Each file that is opened must be as rank 0 saw it:
// its size and header. Error(kDamaged): it is not, or is gone; kIo: can't be read now, after three
// tries; kMismatch: no such piece, or
// NaN or Inf in a parameter; the tensor is named. What is returned is in `staging`.
std::span<const std::byte> read_weights(const FileSystem& files, const Weights& weights,
                                        std::span<const Piece> wanted, Arena& staging);

}  // namespace lockstep
