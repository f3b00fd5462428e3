#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/config.h"

namespace lockstep {

struct StepInput;

// A device of LibTorch's that a rank's training state is on while it trains, and what is done to
// the state there. Spans of its memory are addresses only: the host may not look into them.
// LibTorch's own name says which: "cuda:0"; "cpu" is host memory treated like that, for tests.
//
// All: Local. For the training thread, but fetch(). What is computed is in order with what the
// model computes, and may go on when a call returns. LibTorch's errors pass as std::exception.
class Accelerator {
 public:
  explicit Accelerator(const std::string& device);
  ~Accelerator();
  Accelerator(const Accelerator&) = delete;
  Accelerator& operator=(const Accelerator&) = delete;

  const std::string& device() const;  // as given
  int index() const;                  // of the GPU

  using Memory = std::shared_ptr<float>;
  Memory allocate(std::int64_t count) const;  // zeroed
  void copy_in(std::span<const float> from_host, std::span<float> to) const;
  void copy_out(std::span<const float> from, std::span<float> to_host) const;  // on return it is
  void settle() const;  // waits until all that was begun is done

  // A copy of a stretch in pinned memory of the host, which is used again afterwards.
  class Fetched {
   public:
    Fetched(const Accelerator& owner, std::span<const std::byte> from);
    ~Fetched();
    Fetched(const Fetched&) = delete;
    Fetched& operator=(const Fetched&) = delete;
    std::span<const std::byte> bytes() const { return bytes_; }

   private:
    void copy(std::span<const std::byte> from);

    const Accelerator& owner_;
    const std::size_t buffer_;
    std::span<const std::byte> bytes_;
  };
  // Beside what is computed, on a stream of its own: of memory that nothing changes meanwhile, and
  // whose values settle() has waited for. Any thread, several at once. At most kFetchedBytes.
  static constexpr std::size_t kFetchedBytes = (std::size_t{4} << 20) + 16;
  Fetched fetch(std::span<const std::byte> from) const { return {*this, from}; }

  // Of all of them together. The host waits for it.
  double sum_of_squares(const std::vector<std::span<float>>& values) const;

  // One optimizer step: LibTorch's fused ones. Of equal length; first and second as the optimizer
  // has them (exp_avg or momentum_buffer; exp_avg_sq), or empty.
  struct Part {
    std::span<float> parameters;
    std::span<float> gradients;
    std::span<float> first;
    std::span<float> second;
    bool decayed = false;
  };
  void step(const std::vector<Part>& parts, const OptimizerConfig& optimizer,
            const StepInput& input) const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// What the libraries for GPUs read of the environment so that equal input gives equal bits, unless
// it is set. For main(), before there are threads.
void set_gpu_environment();

// "" where this process can use GPUs by LibTorch; else why it can't, for people. Looks for a driver
// first, and loads LibTorch's part for them only where there is one; before any other use of
// LibTorch. Local.
std::string load_gpu_support();
int visible_gpus();               // 0 where load_gpu_support() gave a reason
std::string gpu_name(int index);  // "NVIDIA H200"
std::string gpu_id(int index);    // on its host, whatever number this process knows it by

}  // namespace lockstep
