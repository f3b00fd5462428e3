#include "worker/fashion_mnist.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sum.h>
#include <c10/core/DeviceGuard.h>

#include "common/digest.h"
#include "common/error.h"
#include "worker/data_order.h"
#include "worker/idx_file.h"
#include "worker/model_tensors.h"

namespace lockstep {
namespace {

constexpr const char* kDebianFolder = "/usr/share/datasets/fashion-mnist";
constexpr std::int64_t kSide = 28;
constexpr std::int64_t kPixels = kSide * kSide;
constexpr std::int64_t kClasses = 10;
constexpr float kPixelMean = 0.2860F;  // of the training images, from 0 to 1
constexpr float kPixelDeviation = 0.3530F;

// Each layer: 3 x 3 convolution, 2 x 2 maximum (not in the last one), batch normalization, ReLU.
// Taking the maximum first leaves a quarter of the elements to the rest. Then one linear layer.
constexpr std::array<std::int64_t, 4> kChannels = {1, 16, 48, 64};
constexpr std::size_t kLayers = kChannels.size() - 1;
constexpr std::int64_t kLastSide = kSide >> (kLayers - 1);
// The size of a convolution's weights does not matter to the normalization behind it, but the
// smaller they are the further a step of the optimizer turns them: three epochs are few.
constexpr float kSmallWeights = 0.2F;
// The last layer has many inputs, so that a step of Adam moves its outputs far: they are scaled
// down.
constexpr double kOutputScale = 0.2;
constexpr double kNormMomentum = 0.1;
constexpr double kNormEpsilon = 1e-5;

struct Images {
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;

  std::int64_t size() const { return std::ssize(labels); }
};

Images read_images(const std::string& folder, const std::string& set) {
  Images images{
      .pixels = read_idx_file(folder, set + "-images-idx3-ubyte", {0, kSide, kSide}).values,
      .labels = read_idx_file(folder, set + "-labels-idx1-ubyte", {0}).values};
  if (std::ssize(images.pixels) != images.size() * kPixels) {
    throw Error(ErrorCode::kDamaged, folder + ": " + std::to_string(images.size()) +
                                         " labels for " +
                                         std::to_string(std::ssize(images.pixels) / kPixels) +
                                         " images of " + set + "; fetch the files anew");
  }
  const auto highest = std::max_element(images.labels.begin(), images.labels.end());
  if (*highest >= kClasses) {
    throw Error(ErrorCode::kDamaged, folder + ": label " + std::to_string(*highest) + " in " + set +
                                         ", the highest is 9; fetch the files anew");
  }
  return images;
}

std::array<float, 256> normalized_pixels() {
  std::array<float, 256> table{};
  for (std::size_t value = 0; value < table.size(); ++value) {
    table[value] = (static_cast<float>(value) / 255.0F - kPixelMean) / kPixelDeviation;
  }
  return table;
}

bool is_norm_weight(const std::string& name) {
  return name.starts_with("norm") && name.ends_with(".weight");
}

class FashionMnist : public Task {
 public:
  FashionMnist(const std::string& folder, int threads);

  const std::vector<TensorSpec>& parameters() const override { return parameter_specs_; }
  const std::vector<TensorSpec>& buffers() const override { return buffer_specs_; }
  void bind(const TensorMemory& memory) override;
  bool runs_on_gpu() const override { return true; }
  void initialize(std::uint64_t seed) override;

  std::int64_t training_samples() const override { return training_.size(); }
  std::int64_t evaluation_samples() const override { return test_.size(); }
  std::string data_digest() const override { return digest_; }
  bool counts_correct() const override { return true; }

  bool fetches() const override { return true; }
  std::unique_ptr<Inputs> fetch(std::span<const std::int64_t> samples) override;
  Sums train(const Batch& batch) override;
  void tell_gradients(std::function<void(std::size_t)> through) override {
    parameters_.tell(std::move(through));
  }
  Sums evaluate(Range samples) override;

 private:
  struct LabelledImages final : Inputs {
    at::Tensor images;
    at::Tensor labels;
  };
  struct Judged {
    at::Tensor loss;  // summed
    at::Tensor correct;
  };
  template <typename SampleAt>
  std::unique_ptr<LabelledImages> gather(const Images& from, std::int64_t count,
                                         SampleAt&& sample_at) const;
  Judged forward(const LabelledImages& inputs, bool training) const;

  Images training_;
  Images test_;
  std::string digest_;
  std::array<float, 256> pixel_values_ = normalized_pixels();
  std::vector<TensorSpec> parameter_specs_;
  std::vector<TensorSpec> buffer_specs_;
  ModelParameters parameters_;  // as the next, in TrainingState's memory
  std::vector<at::Tensor> buffers_;
  at::Device device_ = at::kCPU;
};

FashionMnist::FashionMnist(const std::string& folder, int threads)
    : training_(read_images(folder, "train")), test_(read_images(folder, "t10k")) {
  prepare_libtorch(threads);
  std::string digests;
  for (const auto* bytes : {&training_.pixels, &training_.labels, &test_.pixels, &test_.labels}) {
    digests += digest128(std::as_bytes(std::span(*bytes)));
  }
  digest_ = digest128(digests);

  for (std::size_t layer = 1; layer <= kLayers; ++layer) {
    const std::int64_t out = kChannels.at(layer);
    const std::string conv = "conv" + std::to_string(layer);
    const std::string norm = "norm" + std::to_string(layer);
    parameter_specs_.push_back(
        {.name = conv + ".weight", .shape = {out, kChannels.at(layer - 1), 3, 3}});
    parameter_specs_.push_back({.name = norm + ".weight", .shape = {out}});
    parameter_specs_.push_back({.name = norm + ".bias", .shape = {out}});
    buffer_specs_.push_back({.name = norm + ".running_mean", .shape = {out}});
    buffer_specs_.push_back({.name = norm + ".running_var", .shape = {out}});
  }
  const std::int64_t features = kChannels.back() * kLastSide * kLastSide;
  parameter_specs_.push_back({.name = "linear.weight", .shape = {kClasses, features}});
  parameter_specs_.push_back({.name = "linear.bias", .shape = {kClasses}});
}

void FashionMnist::bind(const TensorMemory& memory) {
  parameters_.bind(parameter_specs_, memory);
  buffers_ = views_of(buffer_specs_, memory.buffers, memory.device);
  device_ = at::Device(memory.device);
}

void FashionMnist::initialize(std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    auto& parameter = parameters_[i];
    if (parameter.dim() == 1) {
      parameter.fill_(is_norm_weight(parameter_specs_[i].name) ? 1 : 0);
      continue;
    }
    // He et al., uniform: the variance of what a layer gives is that of what it gets.
    const auto inputs = static_cast<float>(parameter.numel() / parameter.size(0));
    const float bound = (parameter.dim() > 2 ? kSmallWeights : 1.0F) * std::sqrt(6.0F / inputs);
    fill_uniformly(parameter, bound, mix64(seed ^ mix64(i)));
  }
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    buffers_[i].fill_(i % 2 == 0 ? 0 : 1);
}

template <typename SampleAt>
std::unique_ptr<FashionMnist::LabelledImages> FashionMnist::gather(const Images& from,
                                                                   std::int64_t count,
                                                                   SampleAt&& sample_at) const {
  const c10::DeviceGuard guard(device_);  // of a thread that may be new
  auto inputs = std::make_unique<LabelledImages>();
  inputs->images = at::empty({count, 1, kSide, kSide}, for_device(at::kFloat, device_));
  inputs->labels = at::empty({count}, for_device(at::kLong, device_));
  auto* pixel = inputs->images.data_ptr<float>();
  auto* label = inputs->labels.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t sample = sample_at(i);
    const std::uint8_t* source = from.pixels.data() + sample * kPixels;
    for (std::int64_t k = 0; k < kPixels; ++k)
      *pixel++ = pixel_values_[source[k]];
    *label++ = from.labels[static_cast<std::size_t>(sample)];
  }
  return inputs;
}

FashionMnist::Judged FashionMnist::forward(const LabelledImages& inputs, bool training) const {
  at::Tensor x = to_device(inputs.images, device_);
  const at::Tensor labels = to_device(inputs.labels, device_);
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    x = at::conv2d(x, parameters_[3 * layer], {}, 1, 1);
    if (layer + 1 < kLayers) x = at::max_pool2d(x, 2);
    x = at::relu(at::batch_norm(x, parameters_[3 * layer + 1], parameters_[3 * layer + 2],
                                buffers_[2 * layer], buffers_[2 * layer + 1], training,
                                kNormMomentum, kNormEpsilon, false));
  }
  const at::Tensor scale = at::scalar_tensor(kOutputScale, at::kFloat);
  const at::Tensor scores =
      at::linear(x.flatten(1).mul(scale), parameters_[3 * kLayers], parameters_[3 * kLayers + 1]);
  return {.loss = at::cross_entropy_loss(scores, labels, {}, at::Reduction::Sum),
          .correct = scores.argmax(1).eq(labels).sum()};
}

std::unique_ptr<Inputs> FashionMnist::fetch(std::span<const std::int64_t> samples) {
  return gather(training_, std::ssize(samples),
                [&](std::int64_t i) { return samples[static_cast<std::size_t>(i)]; });
}

Sums FashionMnist::train(const Batch& batch) {
  const std::int64_t count = std::ssize(batch.samples);
  const auto fetched = batch.inputs ? nullptr : fetch(batch.samples);
  const auto& inputs = batch.inputs ? *batch.inputs : *fetched;
  const Judged judged = forward(dynamic_cast<const LabelledImages&>(inputs), true);
  parameters_.backward(judged.loss, batch.weight, batch.first);
  return {.loss = judged.loss.item<double>(),
          .correct = judged.correct.item<double>(),
          .samples = count};
}

Sums FashionMnist::evaluate(Range samples) {
  const at::NoGradGuard no_grad;
  const auto inputs =
      gather(test_, samples.count, [&](std::int64_t i) { return samples.first + i; });
  const Judged judged = forward(*inputs, false);
  return {.loss = judged.loss.item<double>(),
          .correct = judged.correct.item<double>(),
          .samples = samples.count};
}

}  // namespace

std::unique_ptr<Task> make_fashion_mnist(const std::optional<std::string>& path, int threads) {
  return std::make_unique<FashionMnist>(path.value_or(kDebianFolder), threads);
}

}  // namespace lockstep
