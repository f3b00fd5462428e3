#include "worker/model_tensors.h"

#include <climits>
#include <utility>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <malloc.h>

#include "worker/data_order.h"

namespace lockstep {

void prepare_libtorch(int threads) {
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 1 << 28);
}

std::vector<at::Tensor> parameter_views(const std::vector<TensorSpec>& specs,
                                        const TensorMemory& memory) {
  std::vector<at::Tensor> views;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    auto parameter = at::from_blob(memory.parameters[i].data(), specs[i].shape);
    parameter.set_requires_grad(true);
    parameter.mutable_grad() = at::from_blob(memory.gradients[i].data(), specs[i].shape);
    views.push_back(std::move(parameter));
  }
  return views;
}

std::vector<at::Tensor> buffer_views(const std::vector<TensorSpec>& specs,
                                     const TensorMemory& memory) {
  std::vector<at::Tensor> views;
  for (std::size_t i = 0; i < specs.size(); ++i)
    views.push_back(at::from_blob(memory.buffers[i].data(), specs[i].shape));
  return views;
}

void fill_uniformly(at::Tensor& tensor, float bound, std::uint64_t key) {
  auto* values = tensor.data_ptr<float>();
  for (std::int64_t k = 0; k < tensor.numel(); ++k)
    values[k] = bound * (2 * unit_float(mix64(key++)) - 1);
}

}  // namespace lockstep
