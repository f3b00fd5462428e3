#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/pages.h"
#include "common/partition.h"
#include "worker/state.h"
#include "worker/task.h"

namespace lockstep {

// A stretch of the flat buffers that the optimizer treats alike. Rank r of W steps on
// part_of(count).
struct Region {
  Range range;  // elements of the flat buffer
  bool decayed = false;
};

// Where each parameter lies in the flat buffer: decayed tensors first, then the others, each kind
// in the task's order.
struct FlatLayout {
  std::vector<std::int64_t> order;   // task's index of each tensor, in flat order
  std::vector<std::int64_t> offset;  // by the task's index
  std::vector<Region> regions;       // decayed, undecayed
  std::int64_t elements = 0;
};

// Pure. no_decay: globs of names ("conv1.bias" or "model.conv1.bias"); absent: tensors of one
// dimension. Error(kInvalidConfig) where a glob matches no tensor.
FlatLayout lay_out(const std::vector<TensorSpec>& parameters,
                   const std::optional<std::vector<std::string>>& no_decay);

// Floats in Pages.
class FloatBuffer {
 public:
  explicit FloatBuffer(std::int64_t count);
  std::span<float> all() const { return floats_; }
  std::span<float> part(Range range) const {
    return all().subspan(static_cast<std::size_t>(range.first),
                         static_cast<std::size_t>(range.count));
  }

 private:
  Pages pages_;
  std::span<float> floats_;
};

// Optimizer state of one kind ("exp_avg"): for each region, this rank's part only.
struct OptimizerSlot {
  std::string kind;
  std::vector<FloatBuffer> parts;  // by region
};

// What a rank keeps in memory of it, and what a checkpoint of it takes on disk besides headers.
struct StateBytes {
  std::uint64_t rank = 0;
  std::uint64_t checkpoint = 0;
};
// Pure but for `task`; allocates nothing of that size. Error(kInvalidConfig) as lay_out.
// saves_beside: checkpoint.async, which takes memory of its own.
StateBytes state_bytes(const Task& task, const OptimizerConfig& optimizer, Share rank,
                       bool saves_beside);

// All that training changes, in flat buffers that stay in place: parameters and gradients whole on
// every rank, optimizer state for the own part only (ZeRO-1), buffers whole.
class TrainingState {
 public:
  // Local: allocates for `task`, binds it and initializes it with `seed`; nullopt: all is zero
  // until it is loaded or initialized. The task must outlive it.
  TrainingState(Task& task, const OptimizerConfig& optimizer, std::optional<std::uint64_t> seed,
                Share rank);

  // What a checkpoint holds: model.NAME, buffer.NAME, optimizer.NAME.KIND. Valid while this lives.
  const StateView& view() const { return view_; }

  // All of it zero again, as it is before it is loaded or initialized.
  void clear();

  const FlatLayout& layout() const { return layout_; }
  Share rank() const { return rank_; }
  Range own_range(const Region& region) const;  // elements of the flat buffer
  std::span<float> parameters() const { return parameters_.all(); }
  std::span<float> gradients() const { return gradients_.all(); }
  std::span<float> buffers() const { return buffers_.all(); }
  std::span<float> own_gradients(std::size_t region) const { return own_gradients_[region].all(); }
  std::vector<OptimizerSlot>& slots() { return slots_; }

 private:
  StateSection section_of(const Region& region, const std::string& kind) const;
  void make_view();

  Share rank_;
  std::vector<TensorSpec> parameter_specs_;
  std::vector<TensorSpec> buffer_specs_;
  FlatLayout layout_;
  FloatBuffer parameters_;
  FloatBuffer gradients_;
  FloatBuffer buffers_;
  std::vector<FloatBuffer> own_gradients_;  // by region: the sum over ranks
  std::vector<OptimizerSlot> slots_;
  StateView view_;
};

}  // namespace lockstep
