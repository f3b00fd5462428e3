#include "worker/language_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <c10/core/DeviceGuard.h>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "worker/data_order.h"
#include "worker/mapped_text.h"
#include "worker/model_tensors.h"

namespace lockstep {
namespace {

constexpr std::int64_t kBytes = 256;  // the vocabulary
constexpr std::int64_t kEvaluatedPart = 20;
constexpr std::int64_t kMostEvaluated = 1024;
// Of an evaluation at once: activations of more would take gigabytes.
constexpr std::int64_t kEvaluatedBytes = 1 << 15;
constexpr float kDeviation = 0.02F;  // of initial weights, as GPT-2 has it
constexpr std::size_t kShownBytes = 160;
constexpr std::size_t kShownLines = 3;

// A model's tensors in their order: two embeddings, those of each block, three behind them.
enum BlockTensor : std::size_t {
  kNorm1,
  kNorm2 = 2,
  kQkv = 4,
  kOut = 6,
  kUp = 8,
  kDown = 10,
  kTensorsOfBlock = 12
};
constexpr std::size_t kFirstBlock = 2;

std::vector<TensorSpec> specs_of(std::int64_t layers, std::int64_t width, std::int64_t context) {
  std::vector<TensorSpec> specs = {{"token.weight", {kBytes, width}},
                                   {"position.weight", {context, width}}};
  const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    specs.push_back({name + ".weight", shape});
    specs.push_back({name + ".bias", {shape.front()}});
  };
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const auto block = "blocks." + std::to_string(layer) + ".";
    add(block + "norm1", {width});
    add(block + "norm2", {width});
    add(block + "qkv", {3 * width, width});
    add(block + "out", {width, width});
    add(block + "up", {4 * width, width});
    add(block + "down", {width, 4 * width});
  }
  add("norm", {width});
  specs.push_back({"head.weight", {kBytes, width}});
  return specs;
}

// Bytes that are no UTF-8 as U+FFFD: a log with others in it is no text to grep and its like.
std::string in_utf8(const std::string& bytes) {
  using nlohmann::json;
  return json::parse(json(bytes).dump(-1, ' ', false, json::error_handler_t::replace));
}

class LanguageModel : public Task {
 public:
  LanguageModel(const TaskConfig& config, const std::string& path);

  const std::vector<TensorSpec>& parameters() const override { return specs_; }
  const std::vector<TensorSpec>& buffers() const override { return no_buffers_; }
  void bind(const TensorMemory& memory) override {
    tensors_.bind(specs_, memory);
    device_ = at::Device(memory.device);
  }
  bool runs_on_gpu() const override { return true; }
  void initialize(std::uint64_t seed) override;

  std::int64_t training_samples() const override { return samples_ - evaluated_; }
  std::int64_t evaluation_samples() const override { return evaluated_; }
  std::string data_digest() const override { return digest_; }
  bool counts_correct() const override { return false; }

  bool fetches() const override { return true; }
  std::unique_ptr<Inputs> fetch(std::span<const std::int64_t> samples) override;
  Sums train(const Batch& batch) override;
  void tell_gradients(std::function<void(std::size_t)> through) override {
    tensors_.tell(std::move(through));
  }
  Sums evaluate(Range samples) override;
  std::string show(std::uint64_t seed) override;

 private:
  struct Texts final : Inputs {
    at::Tensor read;      // [samples, context] int64
    at::Tensor foreseen;  // [samples * context] int64
  };
  template <typename SampleAt>
  std::unique_ptr<Texts> gather(std::int64_t count, SampleAt&& sample_at) const;
  at::Tensor scores(const at::Tensor& read) const;
  at::Tensor loss_of(const Texts& texts) const;  // summed
  at::Tensor attention(const at::Tensor& x, const at::Tensor* block) const;
  at::Tensor normed(const at::Tensor& x, const at::Tensor* weight) const;

  const std::int64_t layers_;
  const std::int64_t width_;
  const std::int64_t heads_;
  const std::int64_t context_;
  MappedText text_;
  std::string digest_;
  std::int64_t samples_ = 0;
  std::int64_t evaluated_ = 0;
  std::vector<TensorSpec> specs_;
  std::vector<TensorSpec> no_buffers_;
  ModelParameters tensors_;
  at::Device device_ = at::kCPU;
};

LanguageModel::LanguageModel(const TaskConfig& config, const std::string& path)
    : layers_(config.layers.value_or(TaskConfig::kLayers)),
      width_(config.width.value_or(TaskConfig::kWidth)),
      heads_(config.heads.value_or(TaskConfig::kHeads)),
      context_(config.context.value_or(TaskConfig::kContext)),
      text_(path),
      digest_(text_.digest()),
      samples_((text_.size() - 1) / context_),
      evaluated_(std::clamp<std::int64_t>(samples_ / kEvaluatedPart, 1, kMostEvaluated)),
      specs_(specs_of(layers_, width_, context_)) {
  if (samples_ < 2)
    throw Error(ErrorCode::kInvalidConfig, path + " holds " + std::to_string(text_.size()) +
                                               " bytes of text; with task.context " +
                                               std::to_string(context_) + " at least " +
                                               std::to_string(2 * context_ + 1) + " are needed");
}

void LanguageModel::initialize(std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  const auto residual = 1 / std::sqrt(2 * static_cast<float>(layers_));
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto& name = specs_[i].name;
    if (tensors_[i].dim() == 1) {
      tensors_[i].fill_(name.ends_with(".weight") ? 1 : 0);
      continue;
    }
    // As GPT-2: what is added to the stream of all layers grows with their number, and is scaled
    // down. Uniform numbers of the same variance.
    const bool is_added = name.ends_with(".out.weight") || name.ends_with(".down.weight");
    const float bound = kDeviation * std::sqrt(3.0F) * (is_added ? residual : 1.0F);
    fill_uniformly(tensors_[i], bound, mix64(seed ^ mix64(i)));
  }
}

template <typename SampleAt>
std::unique_ptr<LanguageModel::Texts> LanguageModel::gather(std::int64_t count,
                                                            SampleAt&& sample_at) const {
  const c10::DeviceGuard guard(device_);  // of a thread that may be new
  auto texts = std::make_unique<Texts>();
  texts->read = at::empty({count, context_}, for_device(at::kLong, device_));
  texts->foreseen = at::empty({count * context_}, for_device(at::kLong, device_));
  auto* read = texts->read.data_ptr<std::int64_t>();
  auto* foreseen = texts->foreseen.data_ptr<std::int64_t>();
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(context_) + 1);
  for (std::int64_t i = 0; i < count; ++i) {
    text_.copy(sample_at(i) * context_, bytes);
    read = std::copy(bytes.begin(), bytes.end() - 1, read);
    foreseen = std::copy(bytes.begin() + 1, bytes.end(), foreseen);
  }
  return texts;
}

at::Tensor LanguageModel::normed(const at::Tensor& x, const at::Tensor* weight) const {
  return at::layer_norm(x, {width_}, weight[0], weight[1]);
}

at::Tensor LanguageModel::attention(const at::Tensor& x, const at::Tensor* block) const {
  const auto samples = x.size(0);
  const auto length = x.size(1);
  const auto qkv = at::linear(normed(x, block + kNorm1), block[kQkv], block[kQkv + 1])
                       .view({samples, length, 3, heads_, width_ / heads_});
  const auto of_heads = [&](std::int64_t which) { return qkv.select(2, which).transpose(1, 2); };
  const auto attended = at::scaled_dot_product_attention(of_heads(0), of_heads(1), of_heads(2), {},
                                                         0.0, /*is_causal=*/true);
  return at::linear(attended.transpose(1, 2).reshape({samples, length, width_}), block[kOut],
                    block[kOut + 1]);
}

// [samples, length] -> [samples * length, 256]; length <= context.
at::Tensor LanguageModel::scores(const at::Tensor& read) const {
  const auto texts = to_device(read, device_);
  at::Tensor x = at::embedding(tensors_[0], texts) + tensors_[1].narrow(0, 0, texts.size(1));
  for (std::int64_t layer = 0; layer < layers_; ++layer) {
    const auto* block = &tensors_[kFirstBlock + kTensorsOfBlock * static_cast<std::size_t>(layer)];
    x = x + attention(x, block);
    const auto wide = at::gelu(at::linear(normed(x, block + kNorm2), block[kUp], block[kUp + 1]));
    x = x + at::linear(wide, block[kDown], block[kDown + 1]);
  }
  return at::linear(normed(x, &tensors_[tensors_.size() - 3]), tensors_[tensors_.size() - 1])
      .flatten(0, 1);
}

at::Tensor LanguageModel::loss_of(const Texts& texts) const {
  return at::cross_entropy_loss(scores(texts.read), to_device(texts.foreseen, device_), {},
                                at::Reduction::Sum);
}

std::unique_ptr<Inputs> LanguageModel::fetch(std::span<const std::int64_t> samples) {
  return gather(std::ssize(samples),
                [&](std::int64_t i) { return samples[static_cast<std::size_t>(i)]; });
}

Sums LanguageModel::train(const Batch& batch) {
  const auto fetched = batch.inputs ? nullptr : fetch(batch.samples);
  const auto& inputs = batch.inputs ? *batch.inputs : *fetched;
  const auto& texts = dynamic_cast<const Texts&>(inputs);
  const auto loss = loss_of(texts);
  const auto bytes = static_cast<double>(context_);
  tensors_.backward(loss, batch.weight / bytes, batch.first);
  return {.loss = loss.item<double>() / bytes, .correct = 0, .samples = std::ssize(batch.samples)};
}

Sums LanguageModel::evaluate(Range samples) {
  const at::NoGradGuard no_grad;
  const auto at_once = std::max<std::int64_t>(1, kEvaluatedBytes / context_);
  double loss = 0;
  for (std::int64_t done = 0; done < samples.count; done += at_once) {
    const auto texts = gather(std::min(at_once, samples.count - done), [&](std::int64_t i) {
      return training_samples() + samples.first + done + i;
    });
    loss += loss_of(*texts).item<double>();
  }
  return {.loss = loss / static_cast<double>(context_), .correct = 0, .samples = samples.count};
}

std::string LanguageModel::show(std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  std::string text = "\n";
  while (text.size() <= kShownBytes &&
         std::count(text.begin(), text.end(), '\n') <= static_cast<std::ptrdiff_t>(kShownLines)) {
    const auto length = std::min(static_cast<std::int64_t>(text.size()), context_);
    auto read = at::empty({1, length}, at::kLong);
    std::transform(text.end() - length, text.end(), read.data_ptr<std::int64_t>(),
                   [](char c) { return static_cast<unsigned char>(c); });
    const auto chances = at::softmax(scores(read)[length - 1], 0).cpu().contiguous();
    const auto* chance = chances.data_ptr<float>();
    float left = unit_float(mix64(seed + text.size()));
    std::int64_t byte = 0;
    while (byte + 1 < kBytes && (left -= chance[byte]) >= 0)
      ++byte;
    text += static_cast<char>(byte);
  }
  return in_utf8(text.substr(1));
}

}  // namespace

std::unique_ptr<Task> make_language_model(const TaskConfig& config, const std::string& path,
                                          int threads) {
  prepare_libtorch(threads);
  try {
    return std::make_unique<LanguageModel>(config, path);
  } catch (const Error& error) {
    throw Error(error.code(), std::string("data.path: ") + error.what());
  }
}

}  // namespace lockstep
