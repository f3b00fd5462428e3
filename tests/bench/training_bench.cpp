// Training, the own side of compare.sh's ddp: iterations of a convolutional network or of the task
// language_model on samples that are always the same, as lockstepd makes them: forward, backward,
// reduce-scatter, tick, optimizer step on the own part, all-gather. Under mpirun; a JSON line as
// ddp_training.py prints them, which also makes the file that both begin with.
//   seconds  median of an iteration, the slowest rank's; of it work_seconds are the slowest rank's
//            forward and backward; exchange_seconds what a rank waited behind them for gradients,
//            sums, parameters and tick, the least of the ranks, so that waiting for a slower one
//            does not count: the most that an all-gather beside the next forward could save

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scalar_tensor.h>
#include <CLI/CLI.hpp>
#include <unistd.h>

#include "common/error.h"
#include "common/file_system.h"
#include "common/heap.h"
#include "common/safetensors.h"
#include "tests/bench/figures.h"
#include "worker/language_model.h"
#include "worker/model_tensors.h"
#include "worker/mpi_collectives.h"
#include "worker/tick.h"
#include "worker/training_iteration.h"

namespace lockstep {
namespace {

struct Options {
  std::string model = "cnn";
  std::string inputs;
  int iterations = 30;
  int warmup = 5;
};

// Tensors of a safetensors file, by their names.
using Tensors = std::map<std::string, std::vector<std::byte>>;

Tensors read_tensors(const std::string& path) {
  const auto files = make_posix_file_system();
  const auto file = files->open(path);
  const auto header = read_safetensors_header(*file, path);
  Tensors tensors;
  for (const auto& entry : header.tensors) {
    auto& bytes = tensors[entry.name];
    bytes.resize(entry.end - entry.begin);
    file->read_at(header.data_begin + entry.begin, bytes);
  }
  return tensors;
}

// ddp_training.py's.
class Cnn : public Task {
 public:
  explicit Cnn(const Tensors& tensors)
      : images_(tensors.at("images")),
        labels_(tensors.at("labels")),
        samples_(std::ssize(labels_) / static_cast<std::int64_t>(sizeof(std::int64_t))) {}

  const std::vector<TensorSpec>& parameters() const override { return specs_; }
  const std::vector<TensorSpec>& buffers() const override { return no_buffers_; }
  void bind(const TensorMemory& memory) override { parameters_.bind(specs_, memory); }
  void initialize(std::uint64_t /*seed*/) override {}
  std::int64_t training_samples() const override { return samples_; }
  std::int64_t evaluation_samples() const override { return 0; }
  std::string data_digest() const override { return ""; }
  bool counts_correct() const override { return false; }
  Sums evaluate(Range /*samples*/) override { return {}; }
  void tell_gradients(std::function<void(std::size_t)> through) override {
    parameters_.tell(std::move(through));
  }

  Sums train(const Batch& batch) override {
    const auto count = std::ssize(batch.samples);
    std::vector<float> pixels(static_cast<std::size_t>(count) * kPixels);
    std::vector<std::int64_t> labels(batch.samples.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto sample = static_cast<std::size_t>(batch.samples[i]);
      constexpr auto kImageBytes = kPixels * sizeof(float);
      std::memcpy(&pixels[i * kPixels], &images_[sample * kImageBytes], kImageBytes);
      std::memcpy(&labels[i], &labels_[sample * sizeof(std::int64_t)], sizeof(std::int64_t));
    }
    const auto& p = parameters_;
    auto x = at::from_blob(pixels.data(), {count, 1, kSide, kSide});
    x = at::relu(at::conv2d(at::relu(at::conv2d(x, p[0], p[1], 1, 1)), p[2], p[3], 1, 1));
    x = at::relu(at::linear(at::max_pool2d(x, 2).flatten(1), p[4], p[5]));
    const auto targets = at::from_blob(labels.data(), {count}, at::kLong);
    const auto loss =
        at::cross_entropy_loss(at::linear(x, p[6], p[7]), targets, {}, at::Reduction::Sum);
    parameters_.backward(loss, batch.weight, batch.first);
    return {.loss = loss.item<double>(), .correct = 0, .samples = count};
  }

 private:
  static constexpr std::int64_t kSide = 28;
  static constexpr std::size_t kPixels = kSide * kSide;

  const std::vector<std::byte> images_;  // fp32
  const std::vector<std::byte> labels_;  // int64
  const std::int64_t samples_;
  const std::vector<TensorSpec> specs_ = {{"conv1.weight", {32, 1, 3, 3}},     {"conv1.bias", {32}},
                                          {"conv2.weight", {64, 32, 3, 3}},    {"conv2.bias", {64}},
                                          {"fc1.weight", {128, 64 * 14 * 14}}, {"fc1.bias", {128}},
                                          {"fc2.weight", {10, 128}},           {"fc2.bias", {10}}};
  const std::vector<TensorSpec> no_buffers_;
  ModelParameters parameters_;
};

std::unique_ptr<Task> task_of(const Options& options, const Tensors& tensors) {
  prepare_libtorch(1);
  if (options.model == "cnn") return std::make_unique<Cnn>(tensors);
  const auto& text = tensors.at("text");
  const auto path =
      std::filesystem::temp_directory_path() / ("training-bench-" + std::to_string(::getpid()));
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(text.data()), std::ssize(text));
  auto task = make_language_model({}, path, 1);
  std::filesystem::remove(path);  // it is mapped
  return task;
}

// A bench's own: the parameters of the file.
void fill(const TrainingState& state, const Task& task, const Tensors& tensors) {
  for (std::size_t i = 0; i < task.parameters().size(); ++i) {
    const auto& bytes = tensors.at(task.parameters()[i].name);
    std::memcpy(state.parameters().data() + state.layout().offset[i], bytes.data(), bytes.size());
  }
}

void run(const Comm& comm, const Options& options) {
  const auto tensors = read_tensors(options.inputs);
  const auto task = task_of(options, tensors);
  Config config;
  config.data.global_batch = task->training_samples();
  config.optimizer.learning_rate = 1e-4;
  config.optimizer.no_decay.emplace();  // torch.optim.AdamW decays every tensor
  TrainingState state(*task, config.optimizer, {}, {comm.rank(), comm.size()});
  fill(state, *task, tensors);
  const Log log({.json = false, .level = "error"}, false);
  ProgressBoard board;
  const Training training{config, *task, state, log, board};
  const IterationHooks hooks{.vote = [] { return TickVote{}; }, .before_step = [] {}};

  std::vector<double> seconds;
  std::vector<double> work;
  std::vector<double> exchange;
  std::string losses;
  TrainingStart at;
  Tick tick(comm);
  IterationParts parts(comm, tick, training, at);
  for (int i = 0; i < options.warmup + options.iterations; ++i) {
    if (i == options.warmup) barrier(comm);
    const auto began = Clock::now();
    const auto outcome = run_iteration(parts, training, at, hooks);
    const double took = since(began);
    if (outcome.failure) std::rethrow_exception(outcome.failure);
    at = {at.iteration + 1, at.position + config.data.global_batch};
    std::array<char, 32> loss{};
    std::snprintf(loss.data(), loss.size(), "%s%.7f", losses.empty() ? "" : ", ",
                  outcome.sums.loss / static_cast<double>(outcome.sums.samples));
    losses += loss.data();
    if (i < options.warmup) continue;
    seconds.push_back(over_ranks(comm, took, MPI_MAX));
    work.push_back(over_ranks(comm, outcome.work_seconds, MPI_MAX));
    exchange.push_back(over_ranks(comm, outcome.spent.communication, MPI_MIN));
  }
  if (!comm.is_root()) return;
  std::printf(
      "{\"bench\": \"training\", \"side\": \"lockstep\", \"model\": \"%s\", \"world\": %d, "
      "\"seconds\": %.6f, \"min\": %.6f, \"max\": %.6f, \"work_seconds\": %.6f, "
      "\"exchange_seconds\": %.6f, \"losses\": [%s]}\n",
      options.model.c_str(), comm.size(), median(seconds), std::ranges::min(seconds),
      std::ranges::max(seconds), median(work), median(exchange), losses.c_str());
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::share_heap_arenas();
  lockstep::Options options;
  CLI::App app("Training beside PyTorch's");
  app.add_option("--model", options.model, "cnn or gpt")->check(CLI::IsMember({"cnn", "gpt"}));
  app.add_option("--inputs", options.inputs, "what ddp_training.py --export made")->required();
  app.add_option("--iterations", options.iterations, "counted, behind the first ones");
  app.add_option("--warmup", options.warmup, "the first ones");
  CLI11_PARSE(app, argc, argv);
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  lockstep::run(lockstep::Comm::duplicate(MPI_COMM_WORLD), options);
  MPI_Finalize();
  return 0;
}
