#include "worker/model_tensors.h"

#include <algorithm>
#include <climits>
#include <memory>
#include <utility>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/scalar_tensor.h>
#include <malloc.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "worker/data_order.h"
#include "worker/precision.h"

namespace lockstep {

void prepare_libtorch(int threads) {
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 1 << 28);
}

void fill_uniformly(at::Tensor& tensor, float bound, std::uint64_t key) {
  auto* values = tensor.data_ptr<float>();
  for (std::int64_t k = 0; k < tensor.numel(); ++k)
    values[k] = bound * (2 * unit_float(mix64(key++)) - 1);
}

std::vector<at::Tensor> views_of(const std::vector<TensorSpec>& specs,
                                 const std::vector<std::span<float>>& memory,
                                 const std::string& device) {
  const at::Device there(device);
  std::vector<at::Tensor> views;
  for (std::size_t i = 0; i < specs.size(); ++i)
    views.push_back(at::for_blob(memory[i].data(), specs[i].shape)
                        .options(at::TensorOptions(at::kFloat).device(there))
                        .target_device(there)
                        .make_tensor());
  return views;
}

at::TensorOptions for_device(at::ScalarType type, const at::Device& device) {
  return at::TensorOptions(type).pinned_memory(!device.is_cpu());
}

at::Tensor to_device(const at::Tensor& tensor, const at::Device& device) {
  return tensor.to(device, tensor.scalar_type(), /*non_blocking=*/true);
}

class ModelParameters::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(ModelParameters& owner, std::size_t parameter) : owner_(owner), parameter_(parameter) {}
  void operator()(const torch::autograd::Variable& tensor) override {
    owner_.take(parameter_, tensor.mutable_grad());
  }

 private:
  ModelParameters& owner_;
  const std::size_t parameter_;
};

void ModelParameters::bind(const std::vector<TensorSpec>& specs, const TensorMemory& memory) {
  tensors_ = views_of(specs, memory.parameters, memory.device);
  gradients_ = views_of(specs, memory.gradients, memory.device);
  written_.assign(specs.size(), 0);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].set_requires_grad(true);
    torch::autograd::impl::set_post_acc_grad_hooks(tensors_[i], std::make_unique<Hook>(*this, i));
  }
}

void ModelParameters::take(std::size_t parameter, at::Tensor& gradient) {
  const auto values = std::exchange(gradient, at::Tensor());
  if (written_[parameter] == 0) {
    gradients_[parameter].copy_(values);
  } else {
    gradients_[parameter].add_(values);
  }
  written_[parameter] = 1;
  if (through_ && telling_) through_(parameter);
}

void ModelParameters::backward(const at::Tensor& loss, double weight, bool first, bool last) {
  telling_ = last;
  if (first) std::ranges::fill(written_, 0);
  const Autocast fp32(false);  // operations of backward take forward's dtypes
  loss.backward(at::scalar_tensor(weight, loss.options().dtype(at::kFloat)));
  for (std::size_t i = 0; i < written_.size(); ++i)
    if (std::exchange(written_[i], 1) == 0) gradients_[i].zero_();
}

}  // namespace lockstep
