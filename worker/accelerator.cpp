#include "worker/accelerator.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
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
#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include "worker/sharded_optimizer.h"

namespace lockstep {
namespace {

template <typename Element>
at::Tensor tensor_of(std::span<Element> values, at::ScalarType type, const at::Device& device) {
  // There is no such function for const; what is read only stays so. The device is named, since
  // CUDA would be asked whose the pointer is, which it answers in a context that it makes for that.
  auto* first = const_cast<std::remove_const_t<Element>*>(values.data());  // NOLINT
  const std::array<std::int64_t, 1> size = {std::ssize(values)};
  return at::for_blob(first, size)
      .options(at::TensorOptions(type).device(device))
      .target_device(device)
      .make_tensor();
}

void* of_driver(const char* name) {
  return ::dlsym(RTLD_DEFAULT, name);
}

// The driver's number of a GPU; by the driver, since LibTorch tells of GPUs only to those who are
// compiled with CUDA's headers.
std::optional<int> device_of_driver(int index) {
  auto* const init = reinterpret_cast<int (*)(unsigned)>(of_driver("cuInit"));       // NOLINT
  auto* const get = reinterpret_cast<int (*)(int*, int)>(of_driver("cuDeviceGet"));  // NOLINT
  int device = 0;
  if (init == nullptr || get == nullptr || init(0) != 0 || get(&device, index) != 0) return {};
  return device;
}

}  // namespace

struct Accelerator::State {
  explicit State(const std::string& name_in) : name(name_in), device(name_in) {
    if (is_gpu()) c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  }

  bool is_gpu() const { return !device.is_cpu(); }
  at::Tensor on_device(std::span<const float> values) const {
    return tensor_of(values, at::kFloat, device);
  }

  // Pinned, of kFetchedBytes; as many as are in use at once.
  std::size_t take_buffer() {
    const std::lock_guard lock(mutex);
    if (unused.empty()) {
      const auto options = at::TensorOptions(at::kByte).pinned_memory(is_gpu());
      buffers.push_back(at::empty({static_cast<std::int64_t>(kFetchedBytes)}, options));
      unused.push_back(buffers.size() - 1);
    }
    const auto taken = unused.back();
    unused.pop_back();
    return taken;
  }
  at::Tensor& buffer(std::size_t index) {
    const std::lock_guard lock(mutex);
    return buffers[index];
  }
  void give_back(std::size_t index) {
    const std::lock_guard lock(mutex);
    unused.push_back(index);
  }

  const std::string name;
  const at::Device device;
  std::mutex mutex;  // of what follows
  std::deque<at::Tensor> buffers;
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
  if (to.empty()) return;
  const at::NoGradGuard no_grad;
  state_->on_device(to).copy_(tensor_of(from_host, at::kFloat, at::kCPU));
}

void Accelerator::copy_out(std::span<const float> from, std::span<float> to_host) const {
  if (from.empty()) return;
  const at::NoGradGuard no_grad;
  tensor_of(to_host, at::kFloat, at::kCPU).copy_(state_->on_device(from));
}

void Accelerator::settle() const {
  if (!state_->is_gpu()) return;
  c10::impl::VirtualGuardImpl(state_->device.type()).synchronizeDevice(state_->device.index());
}

Accelerator::Fetched::Fetched(const Accelerator& owner, std::span<const std::byte> from)
    : owner_(owner), buffer_(owner.state_->take_buffer()) {
  const at::NoGradGuard no_grad;
  auto& state = *owner.state_;
  const c10::DeviceGuard guard(state.device);  // a new thread's is the first one of the host
  try {
    copy(from);
  } catch (...) {
    state.give_back(buffer_);
    throw;
  }
}

void Accelerator::Fetched::copy(std::span<const std::byte> from) {
  auto& state = *owner_.state_;
  auto& buffer = state.buffer(buffer_);
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
  owner_.state_->give_back(buffer_);
}

double Accelerator::sum_of_squares(const std::vector<std::span<float>>& values) const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (auto left : values) {
    // In pieces: in double precision each is a copy first.
    constexpr std::size_t kPiece = std::size_t{1} << 22;
    for (; !left.empty(); left = left.subspan(std::min(kPiece, left.size()))) {
      const auto piece = state_->on_device(left.first(std::min(kPiece, left.size())));
      norms.push_back(at::linalg_vector_norm(piece, 2, {}, false, at::kDouble));
    }
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
                        kAdamEpsilon, /*amsgrad=*/false, /*maximize=*/false, gradient_divisor);
    } else {
      at::_fused_adam_(parameters, gradients, first, second, {}, steps, rate, beta1, beta2, decay,
                       kAdamEpsilon, /*amsgrad=*/false, /*maximize=*/false, gradient_divisor);
    }
  }
}

void set_gpu_environment() {
  // Without the first equal products may differ; with NVLS, which NCCL takes where switches add,
  // equal sums may (as PyTorch's deterministic mode has it).
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // NOLINT(concurrency-mt-unsafe)
  ::setenv("NCCL_ALGO", "^NVLS", 0);                  // NOLINT(concurrency-mt-unsafe)
}

std::string load_gpu_support() {
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
  auto* const name =
      reinterpret_cast<int (*)(char*, int, int)>(of_driver("cuDeviceGetName"));  // NOLINT
  const auto device = device_of_driver(index);
  std::array<char, 256> text{};
  if (!device || name == nullptr || name(text.data(), text.size() - 1, *device) != 0)
    return "a GPU";
  return text.data();
}

std::string gpu_id(int index) {
  // The second one knows the parts of a GPU that is shared out (MIG).
  auto* get = of_driver("cuDeviceGetUuid_v2");
  if (get == nullptr) get = of_driver("cuDeviceGetUuid");
  const auto device = device_of_driver(index);
  std::array<unsigned char, 16> id{};
  if (!device || get == nullptr ||
      reinterpret_cast<int (*)(unsigned char*, int)>(get)(id.data(), *device) != 0)  // NOLINT
    return std::to_string(index);
  return std::string(id.begin(), id.end());
}

int visible_gpus() {
  return at::globalContext().hasCUDA()
             ? c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).deviceCount()
             : 0;
}

}  // namespace lockstep
