#include "worker/fashion_mnist.h"

#include <malloc.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <utility>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scalar_tensor.h>

#include "common/digest.h"
#include "common/error.h"
#include "worker/data_order.h"
#include "worker/idx_file.h"

namespace lockstep {
namespace {

const int C1 = getenv("C1") ? atoi(getenv("C1")) : 16;
const int C2 = getenv("C2") ? atoi(getenv("C2")) : 32;
const int C3 = getenv("C3") ? atoi(getenv("C3")) : 64;
const int K1 = getenv("K1") ? atoi(getenv("K1")) : 3;
const int FLIP = getenv("FLIP") ? atoi(getenv("FLIP")) : 1;
const int CL = getenv("CL") ? atoi(getenv("CL")) : 0;
const int NT = getenv("NT") ? atoi(getenv("NT")) : 0;

constexpr std::int64_t kSide = 28;
constexpr std::int64_t kPixels = kSide * kSide;
constexpr std::int64_t kClasses = 10;

struct Images {
  std::vector<std::uint8_t> pixels, labels;
  std::int64_t size() const { return std::ssize(labels); }
};

class FashionMnist : public Task {
 public:
  FashionMnist(const std::string& folder, int threads) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_TOP_PAD, 1 << 28);
    at::set_num_threads(NT ? NT : threads);
    at::globalContext().setDeterministicAlgorithms(true, false);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
    train_ = {read_idx_file(folder, "train-images-idx3-ubyte", {0, 28, 28}).values,
              read_idx_file(folder, "train-labels-idx1-ubyte", {0}).values};
    test_ = {read_idx_file(folder, "t10k-images-idx3-ubyte", {0, 28, 28}).values,
             read_idx_file(folder, "t10k-labels-idx1-ubyte", {0}).values};
    conv("conv1", 1, C1, K1);
    conv("conv2", C1, C2, 3);
    conv("conv3", C2, C3, 3);
    specs_.push_back({"linear.weight", {kClasses, C3 * 9}});
    specs_.push_back({"linear.bias", {kClasses}});
  }
  void conv(std::string name, std::int64_t in, std::int64_t out, std::int64_t k) {
    specs_.push_back({name + ".weight", {out, in, k, k}});
    specs_.push_back({name + ".norm.weight", {out}});
    specs_.push_back({name + ".norm.bias", {out}});
    buffers_.push_back({name + ".norm.running_mean", {out}});
    buffers_.push_back({name + ".norm.running_var", {out}});
  }
  const std::vector<TensorSpec>& parameters() const override { return specs_; }
  const std::vector<TensorSpec>& buffers() const override { return buffers_; }
  void bind(const TensorMemory& memory) override {
    memory_ = memory;
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      p_.push_back(at::from_blob(memory.parameters[i].data(), specs_[i].shape));
      p_.back().set_requires_grad(true);
      p_.back().mutable_grad() = at::from_blob(memory.gradients[i].data(), specs_[i].shape);
    }
    for (std::size_t i = 0; i < buffers_.size(); ++i)
      b_.push_back(at::from_blob(memory.buffers[i].data(), buffers_[i].shape));
  }
  void initialize(std::uint64_t seed) override {
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      const auto& s = specs_[i].shape;
      auto m = memory_.parameters[i];
      if (s.size() == 1) {
        const bool one = specs_[i].name.find("norm.weight") != std::string::npos;
        std::fill(m.begin(), m.end(), one ? 1.f : 0.f);
        continue;
      }
      const float bound = std::sqrt(6.f / (float)(m.size() / (size_t)s[0])) * (s.size() == 2 ? 0.4f : 1.f);
      std::uint64_t k = mix64(seed ^ mix64(i));
      for (auto& x : m) x = bound * (2 * unit_float(mix64(k++)) - 1);
    }
    for (std::size_t i = 0; i < buffers_.size(); ++i)
      std::fill(memory_.buffers[i].begin(), memory_.buffers[i].end(), i % 2 ? 1.f : 0.f);
  }
  std::int64_t training_samples() const override { return train_.size(); }
  std::int64_t evaluation_samples() const override { return test_.size(); }
  std::string data_digest() const override { return ""; }
  bool counts_correct() const override { return true; }

  at::Tensor forward(at::Tensor x, bool training) {
    for (std::size_t l = 0; l < 3; ++l) {
      x = at::conv2d(x, p_[3 * l], {}, 1, l == 0 ? K1 / 2 : 1);
      x = at::batch_norm(x, p_[3 * l + 1], p_[3 * l + 2], b_[2 * l], b_[2 * l + 1], training, 0.1, 1e-5, false);
      x = at::max_pool2d(at::relu(x), 2);
    }
    return at::linear(x.flatten(1), p_[9], p_[10]);
  }
  template <class F>
  std::pair<at::Tensor, at::Tensor> load(const Images& im, std::int64_t n, F at, std::uint64_t rng) {
    auto x = at::empty({n, 1, kSide, kSide}, at::kFloat);
    auto y = at::empty({n}, at::kLong);
    float* px = x.data_ptr<float>();
    auto* py = y.data_ptr<std::int64_t>();
    float table[256];
    for (int v = 0; v < 256; ++v) table[v] = (float(v) / 255.f - 0.2860f) / 0.3530f;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto s = at(i);
      const std::uint8_t* src = im.pixels.data() + s * kPixels;
      const bool flip = rng && FLIP && (mix64(rng + (std::uint64_t)i) & 1);
      for (int r = 0; r < kSide; ++r)
        for (int c = 0; c < kSide; ++c) *px++ = table[src[r * kSide + (flip ? kSide - 1 - c : c)]];
      py[i] = im.labels[(size_t)s];
    }
    if (CL) x = x.contiguous(at::MemoryFormat::ChannelsLast);
    return {x, y};
  }
  Sums train(const Batch& batch) override {
    const auto n = std::ssize(batch.samples);
    auto [x, y] = load(train_, n, [&](std::int64_t i) { return batch.samples[(size_t)i]; }, batch.rng_seed);
    auto out = forward(x, true);
    auto loss = at::cross_entropy_loss(out, y, {}, at::Reduction::Sum);
    loss.backward(at::scalar_tensor(batch.weight, at::kFloat));
    return {loss.item<double>(), out.argmax(1).eq(y).sum().item<double>(), n};
  }
  Sums evaluate(Range r) override {
    at::NoGradGuard g;
    auto [x, y] = load(test_, r.count, [&](std::int64_t i) { return r.first + i; }, 0);
    auto out = forward(x, false);
    return {at::cross_entropy_loss(out, y, {}, at::Reduction::Sum).item<double>(),
            out.argmax(1).eq(y).sum().item<double>(), r.count};
  }
  Images train_, test_;
  std::vector<TensorSpec> specs_, buffers_;
  std::vector<at::Tensor> p_, b_;
  TensorMemory memory_;
};
}  // namespace

std::unique_ptr<Task> make_fashion_mnist(const std::optional<std::string>& path, int threads) {
  return std::make_unique<FashionMnist>(path.value_or("/usr/share/datasets/fashion-mnist"), threads);
}

}  // namespace lockstep
