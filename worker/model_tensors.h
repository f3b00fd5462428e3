#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/task.h"

// What tasks share whose model is made of LibTorch's tensors.
namespace lockstep {

// Process-wide settings of LibTorch and malloc, before a model is made: equal bits for equal
// batches, and memory of one iteration is kept for the next instead of being fetched from the
// kernel anew. `threads`: that an operation may compute with.
void prepare_libtorch(int threads);

// Views of the memory, in the order of `specs`. Backward adds to a parameter's gradient in place:
// it stays the view that it is.
std::vector<at::Tensor> parameter_views(const std::vector<TensorSpec>& specs,
                                        const TensorMemory& memory);
std::vector<at::Tensor> buffer_views(const std::vector<TensorSpec>& specs,
                                     const TensorMemory& memory);

// Fills it with numbers from -bound to bound, a function of `key` alone.
void fill_uniformly(at::Tensor& tensor, float bound, std::uint64_t key);

}  // namespace lockstep
