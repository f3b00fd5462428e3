#include "worker/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "common/digest.h"
#include "common/error.h"
#include "worker/data_order.h"

namespace lockstep {
namespace {

constexpr std::int64_t kTrainingSamples = 60'000;
constexpr std::int64_t kEvaluationSamples = 2'000;
constexpr std::size_t kPeriod = 64 * 61;  // of the factors; a multiple of the features
constexpr float kNoise = 0.01F;

float symmetric(std::uint64_t x) {
  return 2 * unit_float(x) - 1;
}  // in [-1, 1)

// Every fourth tensor has one dimension, as biases have; the others are matrices.
std::vector<TensorSpec> make_specs(std::int64_t parameters, std::int64_t tensors) {
  if (tensors < 1 || parameters < tensors) {
    throw Error(ErrorCode::kInvalidConfig,
                "task synthetic: " + std::to_string(parameters) +
                    " parameters can't be spread over " + std::to_string(tensors) +
                    " tensors; task.tensors must be from 1 to task.parameters");
  }
  std::vector<TensorSpec> specs;
  for (std::int64_t i = 0; i < tensors; ++i) {
    const std::int64_t count = part_of(parameters, {.index = i, .count = tensors}).count;
    const std::string layer = "layer" + std::to_string(i / 4) + ".";
    if (i % 4 == 3) {
      specs.push_back({.name = layer + "bias", .shape = {count}});
      continue;
    }
    std::int64_t rows = 64;
    while (count % rows != 0)
      --rows;
    specs.push_back(
        {.name = layer + "weight" + std::to_string(i % 4), .shape = {rows, count / rows}});
  }
  return specs;
}

}  // namespace

Synthetic::Synthetic(const TaskConfig& config, std::uint64_t seed)
    : iteration_ms_(config.iteration_ms),
      data_seed_(mix64(seed ^ 0x5e7dU)),
      feature_count_(
          std::min<std::size_t>(kMostFeatures, static_cast<std::size_t>(config.parameters))),
      factors_(kPeriod),
      specs_(make_specs(config.parameters, config.tensors)) {
  // The factors are so large that both SGD and Adam, whose step does not depend on the size of the
  // gradient, move s by a few hundredths in an iteration at a learning rate of 1e-3.
  const double for_each =
      static_cast<double>(config.parameters) / static_cast<double>(feature_count_);
  const auto scale = static_cast<float>(std::min(1 / std::sqrt(for_each), 40 / for_each));
  for (std::size_t k = 0; k < kPeriod; ++k)
    factors_[k] = scale * symmetric(mix64(data_seed_ + k));
  for (std::size_t m = 0; m < feature_count_; ++m) {
    hidden_[m] = 2 * symmetric(mix64(data_seed_ ^ mix64(m)));
  }
}

void Synthetic::initialize(std::uint64_t seed) {
  std::uint64_t k = mix64(seed);
  for (const auto& tensor : memory_.parameters) {
    for (float& weight : tensor)
      weight = 0.02F * symmetric(mix64(k++));
  }
}

std::int64_t Synthetic::training_samples() const {
  return kTrainingSamples;
}
std::int64_t Synthetic::evaluation_samples() const {
  return kEvaluationSamples;
}

std::string Synthetic::data_digest() const {
  return digest128("synthetic 1 " + std::to_string(data_seed_) + " " +
                   std::to_string(feature_count_) + " " + std::to_string(kTrainingSamples) + " " +
                   std::to_string(kEvaluationSamples));
}

Synthetic::Sample Synthetic::sample(std::int64_t index) const {
  Sample made;
  const std::uint64_t key = mix64(data_seed_ ^ mix64(static_cast<std::uint64_t>(index) << 8U));
  for (std::size_t m = 0; m < feature_count_; ++m) {
    made.features[m] = symmetric(mix64(key + m));
    made.target += made.features[m] * hidden_[m];
  }
  made.target += kNoise * symmetric(mix64(key + kMostFeatures));
  return made;
}

// Calls `block(m, k, n)` for the stretches of `n` elements from `k` on, of a tensor whose first
// element is parameter `first`, in which element k + i belongs to feature m + i and factor f + i.
template <typename Block>
static void for_each_block(std::size_t first, std::size_t count, std::size_t features,
                           Block&& block) {
  std::size_t k = 0;
  while (k < count) {
    const std::size_t m = (first + k) % features;
    const std::size_t f = (first + k) % kPeriod;
    const std::size_t n = std::min({features - m, kPeriod - f, count - k});
    block(m, f, k, n);
    k += n;
  }
}

Synthetic::Features Synthetic::combined() const {
  Features sums{};
  std::size_t first = 0;
  for (const auto& tensor : memory_.parameters) {
    for_each_block(first, tensor.size(), feature_count_,
                   [&](std::size_t m, std::size_t f, std::size_t k, std::size_t n) {
                     const float* weights = tensor.data() + k;
                     const float* factors = factors_.data() + f;
                     for (std::size_t i = 0; i < n; ++i)
                       sums[m + i] += factors[i] * weights[i];
                   });
    first += tensor.size();
  }
  return sums;
}

void Synthetic::add_gradients(const Features& by_feature) {
  std::size_t first = 0;
  for (const auto& tensor : memory_.gradients) {
    for_each_block(first, tensor.size(), feature_count_,
                   [&](std::size_t m, std::size_t f, std::size_t k, std::size_t n) {
                     float* gradients = tensor.data() + k;
                     const float* factors = factors_.data() + f;
                     for (std::size_t i = 0; i < n; ++i)
                       gradients[i] += factors[i] * by_feature[m + i];
                   });
    first += tensor.size();
  }
}

float Synthetic::error(const Sample& sample, const Features& combined) const {
  float prediction = 0;
  for (std::size_t m = 0; m < feature_count_; ++m)
    prediction += sample.features[m] * combined[m];
  return prediction - sample.target;
}

Sums Synthetic::train(const Batch& batch) {
  if (batch.first)
    for (const auto& gradient : memory_.gradients)
      std::ranges::fill(gradient, 0.0F);
  Sums sums{.loss = 0, .correct = 0, .samples = std::ssize(batch.samples)};
  const Features s = combined();
  Features by_feature{};
  const auto weight = static_cast<float>(batch.weight);
  for (const auto index : batch.samples) {
    const Sample made = sample(index);
    const float off = error(made, s);
    sums.loss += 0.5 * static_cast<double>(off) * static_cast<double>(off);
    for (std::size_t m = 0; m < feature_count_; ++m) {
      by_feature[m] += weight * off * made.features[m];
    }
  }
  add_gradients(by_feature);
  return sums;
}

Sums Synthetic::evaluate(Range samples) {
  Sums sums{.loss = 0, .correct = 0, .samples = samples.count};
  const Features s = combined();
  for (std::int64_t i = samples.first; i < samples.end(); ++i) {
    const float off = error(sample(kTrainingSamples + i), s);
    sums.loss += 0.5 * static_cast<double>(off) * static_cast<double>(off);
  }
  return sums;
}

}  // namespace lockstep
