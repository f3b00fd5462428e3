#include "worker/accelerator.h"

#include <array>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <type_traits>

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include "worker/sharded_optimizer.h"

namespace lockstep {
namespace {

constexpr double kEpsilon = 1e-8;  // Adam's; torch's default

template <typename Element>
at::Tensor tensor_of(std::span<Element> values, at::ScalarType type, const at::Device& device) {
  // from_blob takes no const; what is read only stays so.
  auto* first = const_cast<std::remove_const_t<Element>*>(values.data());  // NOLINT
  return at::from_blob(first, {std::ssize(values)}, at::TensorOptions(type).device(device));
}

}  // namespace

struct Accelerator::State {
  explicit State(const std::string& name_in) : name(name_in), device(name_in) {}

  bool is_gpu() const { return !device.is_cpu(); }
  at::Tensor on_device(std::span<const float> values) const {
    return tensor_of(values, at::kFloat, device);
  }

  const std::string name;
  const at::Device device;
  std::mutex mutex;                 // of what follows
  std::vector<at::Tensor> buffers;  // pinned, of kFetchedBytes; as many as were in use at once
  std::vector<std::size_t> unused;
};

Accelerator::Accelerator(const std::string& device) : state_(std::make_unique<State>(device)) {}
Accelerator::~Accelerator() = default;

const std::string& Accelerator::device() const {
  return state_->name;
}

int Accelerator::index() const {
  return state_->device.index();
}

Accelerator::Memory Accelerator::allocate(std::int64_t count) const {
  auto tensor = std::make_shared<at::Tensor>(
      at::zeros({count}, at::TensorOptions(at::kFloat).device(state_->device)));
  return {tensor, tensor->mutable_data_ptr<float>()};
}

void Accelerator::copy_in(std::span<const float> from_host, std::span<float> to) const {
  const at::NoGradGuard no_grad;
  state_->on_device(to).copy_(tensor_of(from_host, at::kFloat, at::kCPU));
}

void Accelerator::copy_out(std::span<const float> from, std::span<float> to_host) const {
  const at::NoGradGuard no_grad;
  tensor_of(to_host, at::kFloat, at::kCPU).copy_(state_->on_device(from));
}

void Accelerator::settle() const {
  if (!state_->is_gpu()) return;
  c10::impl::VirtualGuardImpl(state_->device.type()).synchronizeDevice(state_->device.index());
}

Accelerator::Fetched::Fetched(const Accelerator& owner, std::span<const std::byte> from)
    : owner_(owner) {
  const at::NoGradGuard no_grad;
  auto& state = *owner.state_;
  at::Tensor buffer;
  {
    const std::lock_guard lock(state.mutex);
    if (state.unused.empty()) {
      state.unused.push_back(state.buffers.size());
      const auto options = at::TensorOptions(at::kByte).pinned_memory(state.is_gpu());
      state.buffers.push_back(at::empty({static_cast<std::int64_t>(kFetchedBytes)}, options));
    }
    buffer_ = state.unused.back();
    state.unused.pop_back();
    buffer = state.buffers[buffer_];
  }
  auto into = buffer.narrow(0, 0, std::ssize(from));
  const auto source = tensor_of(from, at::kByte, state.device);
  if (state.is_gpu()) {
    const auto stream = c10::impl::VirtualGuardImpl(state.device.type())
                            .getStreamFromGlobalPool(state.device, /*isHighPriority=*/false);
    const c10::StreamGuard beside(stream);
    into.copy_(source, /*non_blocking=*/true);
    stream.synchronize();
  } else {
    into.copy_(source);
  }
  bytes_ = {static_cast<const std::byte*>(buffer.const_data_ptr()), from.size()};
}

Accelerator::Fetched::~Fetched() {
  const std::lock_guard lock(owner_.state_->mutex);
  owner_.state_->unused.push_back(buffer_);
}

double Accelerator::sum_of_squares(const std::vector<std::span<float>>& values) const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const auto& some : values) {
    if (!some.empty())
      norms.push_back(at::linalg_vector_norm(state_->on_device(some), 2, {}, false, at::kDouble));
  }
  if (norms.empty()) return 0;
  return at::stack(norms).square().sum().item<double>();
}

void Accelerator::step(const std::vector<Part>& parts, const OptimizerConfig& optimizer,
                       const StepInput& input) const {
  const at::NoGradGuard no_grad;
  const auto scalar = [&](double value) {
    return at::full({}, value, at::TensorOptions(at::kFloat).device(state_->device));
  };
  std::optional<at::Tensor> gradient_divisor;
  if (input.gradient_scale != 1) gradient_divisor = scalar(1 / input.gradient_scale);

  for (const bool decayed : {true, false}) {
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> gradients;
    std::vector<at::Tensor> first;
    std::vector<at::Tensor> second;
    for (const auto& part : parts) {
      if (part.decayed != decayed || part.parameters.empty()) continue;
      parameters.push_back(state_->on_device(part.parameters));
      gradients.push_back(state_->on_device(part.gradients));
      if (!part.first.empty()) first.push_back(state_->on_device(part.first));
      if (!part.second.empty()) second.push_back(state_->on_device(part.second));
    }
    if (parameters.empty()) continue;
    const double decay = decayed ? optimizer.weight_decay : 0;
    const auto rate = input.learning_rate;
    if (optimizer.name == "sgd") {
      at::_fused_sgd_(parameters, gradients, first, decay, optimizer.momentum, rate,
                      /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false,
                      /*is_first_step=*/false, gradient_divisor);
      continue;
    }
    const std::vector<at::Tensor> steps(parameters.size(),
                                        scalar(static_cast<double>(input.iteration)));
    const auto& [beta1, beta2] = optimizer.betas;
    if (optimizer.name == "adamw") {
      at::_fused_adamw_(parameters, gradients, first, second, {}, steps, rate, beta1, beta2, decay,
                        kEpsilon, /*amsgrad=*/false, /*maximize=*/false, gradient_divisor);
    } else {
      at::_fused_adam_(parameters, gradients, first, second, {}, steps, rate, beta1, beta2, decay,
                       kEpsilon, /*amsgrad=*/false, /*maximize=*/false, gradient_divisor);
    }
  }
}

std::string load_gpu_support() {
  // cuBLAS reads it when it begins; without it equal products may differ.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // NOLINT(concurrency-mt-unsafe)
  if (::dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    return "there is no NVIDIA driver";
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    return std::string("this LibTorch does not work with GPUs here (") +
           ::dlerror() +  // NOLINT(concurrency-mt-unsafe)
           "); deploy/bootstrap.sh installs one that does on a host that has a GPU";
  if (!at::globalContext().hasCUDA() || visible_gpus() == 0)
    return "there is no NVIDIA GPU that this process may use (CUDA_VISIBLE_DEVICES?)";
  auto& context = at::globalContext();
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);  // it picks by time, not twice the same
  context.setAllowTF32CuDNN(false);  // precision: fp32 means it
  return "";
}

std::string gpu_name(int index) {
  // By the driver: LibTorch tells it only to those who are compiled with CUDA's headers.
  const auto driver = [](const char* name) { return ::dlsym(RTLD_DEFAULT, name); };
  auto* const init = reinterpret_cast<int (*)(unsigned)>(driver("cuInit"));       // NOLINT
  auto* const get = reinterpret_cast<int (*)(int*, int)>(driver("cuDeviceGet"));  // NOLINT
  auto* const name =
      reinterpret_cast<int (*)(char*, int, int)>(driver("cuDeviceGetName"));  // NOLINT
  std::array<char, 256> text{};
  int device = 0;
  if (init == nullptr || get == nullptr || name == nullptr || init(0) != 0 ||
      get(&device, index) != 0 || name(text.data(), text.size() - 1, device) != 0)
    return "a GPU";
  return text.data();
}

int visible_gpus() {
  return at::globalContext().hasCUDA()
             ? c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).deviceCount()
             : 0;
}

}  // namespace lockstep
