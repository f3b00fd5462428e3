#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/partition.h"
#include "worker/accelerator.h"
#include "worker/collectives.h"
#include "worker/float_buffer.h"
#include "worker/state.h"
#include "worker/task.h"

namespace lockstep {

// A stretch of the flat buffers, of whole tensors, that the optimizer treats alike and whose
// gradients travel together: PyTorch DDP's bucket (Li et al., 2020). Rank r of W steps on
// part_of(count).
struct Region {
  Range range;  // elements of the flat buffer
  bool decayed = false;
};

// Where each parameter lies in the flat buffer: decayed tensors first, then the others; of each
// kind the regions that backward is through with first, inside a region in the task's order.
struct FlatLayout {
  std::vector<std::int64_t> order;   // task's index of each tensor, in flat order
  std::vector<std::int64_t> offset;  // by the task's index
  std::vector<std::size_t> region;   // by the task's index
  std::vector<Region> regions;       // at least one decayed and one not, which may be empty
  std::vector<std::size_t> leaving;  // regions as backward, from the last tensor on, fills them
  std::int64_t elements = 0;
};

// Elements of a region: of the first one that leaves, and of the others. A tensor is never split,
// however large; small ones share a region.
struct RegionSizes {
  std::int64_t first = 1 << 18;
  std::int64_t other = 1 << 20;
};
// Pure: for a world of that size. Many ranks get larger regions, as Megatron has them, or a rank's
// part would be too small to travel well and to be a piece of a shard.
RegionSizes region_sizes(std::int64_t ranks);

// Pure. no_decay: globs of names ("conv1.bias" or "model.conv1.bias"); absent: tensors of one
// dimension. Error(kInvalidConfig) where a glob matches no tensor.
FlatLayout lay_out(const std::vector<TensorSpec>& parameters,
                   const std::optional<std::vector<std::string>>& no_decay,
                   const RegionSizes& sizes = {});

// Pure: elements that a rank receives of other ranks' gradients for one region at most.
std::int64_t most_received(const FlatLayout& layout, int ranks);

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
// every rank, optimizer state for the own part only (ZeRO-1), buffers whole. In the host's memory,
// where it is initialized and loaded, until it moves to an accelerator to be trained there.
class TrainingState {
 public:
  // Local: allocates for `task`, binds it and initializes it with `seed`; nullopt: all is zero
  // until it is loaded or initialized. The task must outlive it.
  TrainingState(Task& task, const OptimizerConfig& optimizer, std::optional<std::uint64_t> seed,
                Share rank);

  // What a checkpoint holds: model.NAME, buffer.NAME, optimizer.NAME.KIND. Valid while this lives.
  const StateView& view() const { return view_; }

  // All of it zero again, as it is before it is loaded or initialized. On the host.
  void clear();

  // Local: all of it, and `task`, which was bound to it. The accelerator must outlive it. view() is
  // one of the accelerator's memory then. Once.
  void move_to(const Accelerator& accelerator, Task& task);
  const Accelerator* accelerator() const { return view_.accelerator; }  // null: it is on the host

  const FlatLayout& layout() const { return layout_; }
  Share rank() const { return rank_; }
  Range own_range(const Region& region) const;  // elements of the flat buffer
  std::span<float> parameters() const { return parameters_.all(); }
  std::span<float> gradients() const { return gradients_.all(); }
  std::span<float> buffers() const { return buffers_.all(); }
  std::span<float> own_gradients(std::size_t region) const { return own_gradients_[region].all(); }
  std::vector<std::span<float>> own_gradients() const;  // by region
  std::vector<OptimizerSlot>& slots() { return slots_; }

 private:
  void bind(Task& task) const;
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
