#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/task.h"

// What tasks share whose model is made of LibTorch's tensors.
namespace lockstep {

// Process-wide settings of LibTorch and malloc, before a model is made: equal bits for equal
// batches, and memory of one iteration is kept for the next instead of being fetched from the
// kernel anew. `threads`: that an operation may compute with.
void prepare_libtorch(int threads);

// Fills it with numbers from -bound to bound, a function of `key` alone.
void fill_uniformly(at::Tensor& tensor, float bound, std::uint64_t key);

// Of a task's memory, which is on `device`.
std::vector<at::Tensor> views_of(const std::vector<TensorSpec>& specs,
                                 const std::vector<std::span<float>>& memory,
                                 const std::string& device);

// What inputs for `device` are made with: a GPU gets them fastest from pinned memory of the host's.
at::TensorOptions for_device(at::ScalarType type, const at::Device& device);
// The tensor itself where it is there.
at::Tensor to_device(const at::Tensor& tensor, const at::Device& device);

// A model's parameters: views of a task's memory, whose gradients backward leaves in that memory.
//
// Autograd makes a tensor for each gradient. It is taken as soon as it is complete (PyTorch's
// post-accumulate-grad hook): copied to its place while it is in the cache, and dropped. Had
// autograd the places themselves, it would add to them, and they would have to be zero before.
class ModelParameters {
 public:
  void bind(const std::vector<TensorSpec>& specs, const TensorMemory& memory);
  void tell(std::function<void(std::size_t parameter)> through) { through_ = std::move(through); }
  // Of `loss`, scaled by `weight`. `first`: as Batch has it; false for a further loss of the same
  // batch. `last`: no other one follows in this train(); it tells.
  void backward(const at::Tensor& loss, double weight, bool first, bool last = true);

  const at::Tensor& operator[](std::size_t index) const { return tensors_[index]; }
  at::Tensor& operator[](std::size_t index) { return tensors_[index]; }
  std::size_t size() const { return tensors_.size(); }

 private:
  class Hook;
  void take(std::size_t parameter, at::Tensor& gradient);

  std::vector<at::Tensor> tensors_;
  std::vector<at::Tensor> gradients_;  // their places
  std::vector<char> written_;          // by parameter, in this iteration
  std::function<void(std::size_t parameter)> through_;
  bool telling_ = true;  // in this backward
};

}  // namespace lockstep
