#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/partition.h"

namespace lockstep {

// A tensor of a model, fp32; the name without a prefix: "conv1.weight".
struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
};

// Where a task's tensors live: one span for each, in the task's own order. Owned by TrainingState.
struct TensorMemory {
  std::vector<std::span<float>> parameters;
  std::vector<std::span<float>> gradients;  // of the parameters, same order
  std::vector<std::span<float>> buffers;
  std::string device = "cpu";  // whose memory it is, as LibTorch names it: "cuda:0" is a GPU's
};

// What a task makes of samples before it trains on them.
class Inputs {
 public:
  Inputs() = default;
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;
  virtual ~Inputs() = default;
};

// Samples that this rank trains on at once.
struct Batch {
  std::span<const std::int64_t> samples;  // indices in [0, training_samples()); may repeat
  double weight = 1;                      // of each sample in the gradient: 1 / global_batch
  bool first = true;  // of an iteration: gradients are written, not added to; 0 where not used
  const Inputs* inputs = nullptr;  // that fetch() made of them; null: not yet made
  std::uint64_t rng_seed = 0;      // the only source of randomness: from (seed, iteration, rank)
};

// Sums over samples: they add up over batches and ranks.
struct Sums {
  double loss = 0;
  double correct = 0;  // of a classification
  std::int64_t samples = 0;

  Sums& operator+=(const Sums& other) {
    loss += other.loss;
    correct += other.correct;
    samples += other.samples;
    return *this;
  }
};

// What is trained: a model and its data. Local: no member communicates; each may throw Error.
// Equal tasks on every rank: same tensors, same data, same results for the same arguments, bit by
// bit.
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // A tensor that the model uses under two names is listed once.
  virtual const std::vector<TensorSpec>& parameters() const = 0;
  virtual const std::vector<TensorSpec>& buffers() const = 0;  // averaged over ranks each iteration
  // Takes the memory that all later calls work on; it stays in place. Writes nothing to it. First
  // the host's; where training is on a GPU a second time, after the load, that one's.
  virtual void bind(const TensorMemory& memory) = 0;
  // Whether bind takes a GPU's memory, and train and evaluate work on it.
  virtual bool runs_on_gpu() const { return false; }
  // Fills parameters and buffers, in the host's memory; a function of the seed alone.
  virtual void initialize(std::uint64_t seed) = 0;

  virtual std::int64_t training_samples() const = 0;
  virtual std::int64_t evaluation_samples() const = 0;
  virtual std::string data_digest() const = 0;  // of training and evaluation data
  virtual bool counts_correct() const = 0;      // classification: Sums::correct means something

  // Reads what `train` needs of samples, in a thread of its own while the batch before is trained
  // on: beside all other members, so that it must leave alone what they write.
  virtual bool fetches() const { return false; }
  virtual std::unique_ptr<Inputs> fetch(std::span<const std::int64_t> /*samples*/) {
    return nullptr;
  }

  // Forward and backward: weight * d(loss of each sample), written or added to the gradients.
  virtual Sums train(const Batch& batch) = 0;
  // Whom `train` tells that it is through with the gradient of a parameter, by its index: each once
  // at most in a call, before which it is set anew. In the thread of `train`, or in one that it
  // waits for. A task that tells nothing is through with all when it returns.
  virtual void tell_gradients(std::function<void(std::size_t parameter)> /*through*/) {}
  // Forward only, on evaluation samples [first, first + count); leaves everything as it was.
  virtual Sums evaluate(Range samples) = 0;

  // For people: some of what the model now makes, such as text; a function of its state and the
  // seed. Empty: nothing to show.
  virtual std::string show(std::uint64_t /*seed*/) { return {}; }

  // Each iteration takes at least so long; the training loop sleeps the rest.
  virtual std::int64_t minimum_iteration_ms() const { return 0; }
};

}  // namespace lockstep
