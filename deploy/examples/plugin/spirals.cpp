// A task of one's own, from outside of lockstep: a network with two hidden layers learns which of
// three spirals a point of the plane belongs to.
//
//   cmake --install build/release --prefix ~/lockstep            # lockstep, where it was built
//   cmake -S . -B build -DCMAKE_PREFIX_PATH=~/lockstep && cmake --build build
//   mpirun -n 2 ~/lockstep/bin/lockstepd train.yaml              # a minute at most
//
// All that lockstep does for its own tasks it does for this one: checkpoints, restarts bit for bit,
// any number of ranks. It asks in return (worker/task.h):
//   - that parameters() and buffers() list the model's tensors, fp32, and bind() takes the memory
//     in which they live from then on. ModelParameters makes LibTorch's tensors of it and leaves
//     their gradients where they belong;
//   - that train() and evaluate() are functions of the samples, the parameters and Batch::rng_seed
//     alone: no clock, no random numbers but from that seed, nothing kept from call to call;
//   - that data_digest() tells one set of data from another.
// A task with files of its own finds them at PluginArguments::data_path (`data.path`); what is
// wrong with them, or with the options, it throws as a lockstep::Error. When the plugin is built
// anew lockstepd says so in its reasons: "changes training: library ...".

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tanh.h>

#include "common/digest.h"
#include "common/error.h"
#include "worker/data_order.h"
#include "worker/model_tensors.h"
#include "worker/plugin.h"

namespace {

using lockstep::Batch;
using lockstep::Sums;

constexpr std::int64_t kArms = 3;
constexpr std::int64_t kTrained = 6000;
constexpr std::int64_t kEvaluated = 1500;

struct Point {
  float x = 0;
  float y = 0;
  std::int64_t arm = 0;
};

// Point `index` of endlessly many, a function of the index alone.
Point point(std::int64_t index) {
  const auto number = [&](std::uint64_t which) {
    return lockstep::unit_float(lockstep::mix64(4 * static_cast<std::uint64_t>(index) + which));
  };
  const std::int64_t arm = index % kArms;
  const float along = number(0);
  const float turn = 2 * 3.14159265F * (along + static_cast<float>(arm) / kArms);
  const float radius = 0.1F + along + 0.1F * (number(1) - 0.5F);
  return {radius * std::cos(turn), radius * std::sin(turn), arm};
}

// "width=32"
std::int64_t width_of(std::string_view options) {
  constexpr std::string_view kKey = "width=";
  std::int64_t width = 32;
  if (options.empty()) return width;
  const auto number = options.substr(std::min(options.size(), kKey.size()));
  const auto [end, error] = std::from_chars(number.begin(), number.end(), width);
  if (!options.starts_with(kKey) || error != std::errc() || end != number.end() || width < 1 ||
      width > 4096)
    throw lockstep::Error(
        lockstep::ErrorCode::kInvalidConfig,
        "task.options is width=N, N from 1 to 4096, not '" + std::string(options) + "'");
  return width;
}

class Spirals : public lockstep::Task {
 public:
  explicit Spirals(std::int64_t width)
      : specs_{{"hidden1.weight", {width, 2}},     {"hidden1.bias", {width}},
               {"hidden2.weight", {width, width}}, {"hidden2.bias", {width}},
               {"head.weight", {kArms, width}},    {"head.bias", {kArms}}} {}

  const std::vector<lockstep::TensorSpec>& parameters() const override { return specs_; }
  const std::vector<lockstep::TensorSpec>& buffers() const override { return no_buffers_; }
  void bind(const lockstep::TensorMemory& memory) override { tensors_.bind(specs_, memory); }
  void initialize(std::uint64_t seed) override;

  std::int64_t training_samples() const override { return kTrained; }
  std::int64_t evaluation_samples() const override { return kEvaluated; }
  std::string data_digest() const override {
    return lockstep::digest128("spirals 1");  // another number for other points
  }
  bool counts_correct() const override { return true; }

  Sums train(const Batch& batch) override;
  void tell_gradients(std::function<void(std::size_t)> through) override {
    tensors_.tell(std::move(through));
  }
  Sums evaluate(lockstep::Range samples) override;

 private:
  struct Judged {
    at::Tensor loss;  // summed
    Sums sums;
  };
  Judged judge(const std::vector<Point>& points) const;

  std::vector<lockstep::TensorSpec> specs_;
  std::vector<lockstep::TensorSpec> no_buffers_;
  lockstep::ModelParameters tensors_;
};

void Spirals::initialize(std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    auto& tensor = tensors_[i];
    if (tensor.dim() == 1) {
      tensor.fill_(0);
    } else {
      const auto inputs = static_cast<float>(tensor.size(1));
      lockstep::fill_uniformly(tensor, 1 / std::sqrt(inputs),
                               lockstep::mix64(seed ^ lockstep::mix64(i)));
    }
  }
}

Spirals::Judged Spirals::judge(const std::vector<Point>& points) const {
  const auto count = std::ssize(points);
  const at::Tensor places = at::empty({count, 2}, at::kFloat);
  const at::Tensor arms = at::empty({count}, at::kLong);
  auto* place = places.data_ptr<float>();
  auto* arm = arms.data_ptr<std::int64_t>();
  for (const auto& one : points) {
    *place++ = one.x;
    *place++ = one.y;
    *arm++ = one.arm;
  }
  at::Tensor x = at::tanh(at::linear(places, tensors_[0], tensors_[1]));
  x = at::tanh(at::linear(x, tensors_[2], tensors_[3]));
  const at::Tensor scores = at::linear(x, tensors_[4], tensors_[5]);
  const at::Tensor loss = at::cross_entropy_loss(scores, arms, {}, at::Reduction::Sum);
  return {loss,
          {.loss = loss.item<double>(),
           .correct = scores.argmax(1).eq(arms).sum().item<double>(),
           .samples = count}};
}

Sums Spirals::train(const Batch& batch) {
  std::vector<Point> points;
  for (const auto sample : batch.samples)
    points.push_back(point(sample));
  const auto judged = judge(points);
  tensors_.backward(judged.loss, batch.weight, batch.first);
  return judged.sums;
}

Sums Spirals::evaluate(lockstep::Range samples) {
  const at::NoGradGuard no_grad;
  std::vector<Point> points;
  for (std::int64_t i = 0; i < samples.count; ++i)
    points.push_back(point(kTrained + samples.first + i));
  return judge(points).sums;
}

}  // namespace

lockstep::Task* lockstep_make_task(const lockstep::PluginArguments& arguments) {
  return new Spirals(width_of(arguments.options));
}
