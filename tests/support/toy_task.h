#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "worker/data_order.h"
#include "worker/task.h"

namespace lockstep::testing {

// A small model whose every number is simple: loss of sample s is the mean of (w_j - target(s,
// j))^2 / 2. It notes which samples it met, and fails or spoils its loss where a test asks for it.
class ToyTask : public Task {
 public:
  explicit ToyTask(std::vector<TensorSpec> specs = {{"a.weight", {3, 5}},
                                                    {"a.bias", {7}},
                                                    {"b.weight", {2, 2, 2}}},
                   std::int64_t samples = 100)
      : specs_(std::move(specs)), samples_(samples) {}

  const std::vector<TensorSpec>& parameters() const override { return specs_; }
  const std::vector<TensorSpec>& buffers() const override { return buffer_specs_; }
  void bind(const TensorMemory& memory) override { memory_ = memory; }
  void initialize(std::uint64_t seed) override {
    std::uint64_t key = mix64(seed);
    for (const auto& tensor : memory_.parameters) {
      for (float& value : tensor)
        value = unit_float(mix64(key++));
    }
  }

  std::int64_t training_samples() const override { return samples_; }
  std::int64_t evaluation_samples() const override { return samples_; }
  std::string data_digest() const override { return "toy"; }
  bool counts_correct() const override { return false; }
  std::int64_t minimum_iteration_ms() const override { return iteration_ms; }

  Sums train(const Batch& batch) override {
    if (before_train) before_train();
    if (batch.first)
      for (const auto& gradient : memory_.gradients)
        std::ranges::fill(gradient, 0.0F);
    Sums sums;
    for (const auto sample : batch.samples) {
      met.push_back(sample);
      sums += judge(sample, batch.weight, true);
    }
    for (const auto& buffer : memory_.buffers) {
      for (float& value : buffer)
        value += buffer_change;
    }
    sums.loss += spoil;
    sums.samples -= lost_in_training;
    return sums;
  }

  Sums evaluate(Range samples) override {
    if (before_evaluate) before_evaluate();
    Sums sums;
    for (std::int64_t i = samples.first; i < samples.end(); ++i)
      sums += judge(i, 0, false);
    sums.samples -= lost_in_evaluation;
    return sums;
  }

  std::vector<std::int64_t> met;
  std::function<void()> before_train;
  std::function<void()> before_evaluate;
  double spoil = 0;          // added to the loss
  float spoil_gradient = 0;  // added to the first gradient
  float buffer_change = 0;
  std::int64_t lost_in_training = 0;  // of the samples that it counts
  std::int64_t lost_in_evaluation = 0;
  std::int64_t iteration_ms = 0;

 private:
  Sums judge(std::int64_t sample, double weight, bool backward) {
    Sums sums{.loss = 0, .correct = 0, .samples = 1};
    std::uint64_t key = mix64(static_cast<std::uint64_t>(sample));
    for (std::size_t t = 0; t < specs_.size(); ++t) {
      for (std::size_t j = 0; j < memory_.parameters[t].size(); ++j) {
        const float off = memory_.parameters[t][j] - unit_float(mix64(key++));
        sums.loss += 0.5 * static_cast<double>(off) * static_cast<double>(off);
        if (backward) memory_.gradients[t][j] += static_cast<float>(weight) * off;
      }
    }
    if (backward) memory_.gradients[0][0] += spoil_gradient;
    return sums;
  }

  std::vector<TensorSpec> specs_;
  std::vector<TensorSpec> buffer_specs_ = {{"mean", {3}}};
  std::int64_t samples_;
  TensorMemory memory_;
};

}  // namespace lockstep::testing
