#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/config.h"
#include "worker/task.h"

namespace lockstep {

// The task `synthetic`: a regression on generated data, with exactly as many parameters as asked
// for, that costs about as much as touching each parameter three times in an iteration. For trying
// out machines, launchers and checkpoints; every parameter changes in every iteration.
//
// Model: features a_i of sample i, M = 64 of them (fewer where there are fewer parameters);
// parameter k belongs to feature k mod M with a fixed factor c_k, so that
//   prediction_i = sum_m a_im s_m,   s_m = sum over k = m mod M of c_k w_k.
// Targets are made the same way from hidden s_m, plus noise; loss is half the squared error.
class Synthetic : public Task {
 public:
  Synthetic(const TaskConfig& config, std::uint64_t seed);

  const std::vector<TensorSpec>& parameters() const override { return specs_; }
  const std::vector<TensorSpec>& buffers() const override { return no_buffers_; }
  void bind(const TensorMemory& memory) override { memory_ = memory; }
  void initialize(std::uint64_t seed) override;

  std::int64_t training_samples() const override;
  std::int64_t evaluation_samples() const override;
  std::string data_digest() const override;
  bool counts_correct() const override { return false; }

  Sums train(const Batch& batch) override;
  Sums evaluate(Range samples) override;
  std::int64_t minimum_iteration_ms() const override { return iteration_ms_; }

 private:
  static constexpr std::size_t kMostFeatures = 64;
  using Features = std::array<float, kMostFeatures>;

  struct Sample {
    Features features{};
    float target = 0;
  };
  Sample sample(std::int64_t index) const;
  Features combined() const;  // s
  float error(const Sample& sample, const Features& combined) const;
  void add_gradients(const Features& by_feature);

  std::int64_t iteration_ms_;
  std::uint64_t data_seed_;
  std::size_t feature_count_;
  std::vector<float> factors_;  // c_k, repeating
  Features hidden_{};
  std::vector<TensorSpec> specs_;
  std::vector<TensorSpec> no_buffers_;
  TensorMemory memory_;
};

}  // namespace lockstep
