#include "worker/training_state.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>

#include "common/error.h"
#include "common/failure.h"
#include "common/selection.h"
#include "worker/region_sum.h"

namespace lockstep {
namespace {

std::int64_t elements_of(const TensorSpec& tensor) {
  std::int64_t count = 1;
  for (const auto extent : tensor.shape)
    count *= extent;
  return count;
}

std::int64_t elements_of(const std::vector<TensorSpec>& tensors) {
  std::int64_t count = 0;
  for (const auto& tensor : tensors)
    count += elements_of(tensor);
  return count;
}

bool matches(const std::string& glob, const std::string& name) {
  return glob_matches(glob, "model." + name);
}

bool is_decayed(const TensorSpec& tensor, const std::optional<std::vector<std::string>>& no_decay) {
  if (!no_decay) return tensor.shape.size() > 1;
  return std::none_of(no_decay->begin(), no_decay->end(),
                      [&](const auto& glob) { return matches(glob, tensor.name); });
}

void require_each_matches(const std::vector<std::string>& globs,
                          const std::vector<TensorSpec>& tensors) {
  for (const auto& glob : globs) {
    const bool hit = std::any_of(tensors.begin(), tensors.end(),
                                 [&](const auto& tensor) { return matches(glob, tensor.name); });
    if (!hit) {
      throw Error(ErrorCode::kInvalidConfig,
                  "optimizer.no_decay: '" + glob +
                      "' matches no tensor of the model; the first is '" + tensors.front().name +
                      "'");
    }
  }
}

// The tensors of one kind in groups of a region each, as backward comes to them; in a group
// ascending. At least one group.
std::vector<std::vector<std::size_t>> grouped(
    const std::vector<TensorSpec>& parameters,
    const std::optional<std::vector<std::string>>& no_decay, bool decayed,
    const RegionSizes& sizes) {
  std::vector<std::vector<std::size_t>> groups(1);
  std::int64_t held = 0;
  for (std::size_t i = parameters.size(); i-- > 0;) {
    if (is_decayed(parameters[i], no_decay) != decayed) continue;
    const auto count = elements_of(parameters[i]);
    const auto limit = groups.size() == 1 ? sizes.first : sizes.other;
    if (held > 0 && held + count > limit) {
      groups.emplace_back();
      held = 0;
    }
    groups.back().push_back(i);
    held += count;
  }
  for (auto& group : groups)
    std::ranges::reverse(group);
  return groups;
}

std::vector<std::string> slot_kinds(const OptimizerConfig& optimizer) {
  if (optimizer.name != "sgd") return {"exp_avg", "exp_avg_sq"};
  if (optimizer.momentum != 0) return {"momentum_buffer"};
  return {};
}

std::span<float> slice(std::span<float> flat, std::int64_t first, const TensorSpec& tensor) {
  return flat.subspan(static_cast<std::size_t>(first),
                      static_cast<std::size_t>(elements_of(tensor)));
}

}  // namespace

FlatLayout lay_out(const std::vector<TensorSpec>& parameters,
                   const std::optional<std::vector<std::string>>& no_decay,
                   const RegionSizes& sizes) {
  if (no_decay) require_each_matches(*no_decay, parameters);
  FlatLayout layout;
  layout.offset.resize(parameters.size());
  layout.region.resize(parameters.size());
  std::vector<std::size_t> filled_by;  // by region: its tensor that backward comes to last
  for (const bool decayed : {true, false}) {
    for (const auto& tensors : grouped(parameters, no_decay, decayed, sizes)) {
      Region region{.range = {.first = layout.elements, .count = 0}, .decayed = decayed};
      for (const auto i : tensors) {
        layout.order.push_back(static_cast<std::int64_t>(i));
        layout.offset[i] = layout.elements;
        layout.region[i] = layout.regions.size();
        layout.elements += elements_of(parameters[i]);
      }
      region.range.count = layout.elements - region.range.first;
      layout.regions.push_back(region);
      filled_by.push_back(tensors.empty() ? 0 : tensors.front());
    }
  }
  layout.leaving.resize(layout.regions.size());
  std::iota(layout.leaving.begin(), layout.leaving.end(), std::size_t{0});
  std::ranges::stable_sort(layout.leaving, std::ranges::greater{},
                           [&](std::size_t region) { return filled_by[region]; });
  return layout;
}

RegionSizes region_sizes(std::int64_t ranks) {
  constexpr std::int64_t kLeastPart = 1 << 16;
  RegionSizes sizes;
  sizes.other = std::max(sizes.other, ranks * kLeastPart);
  return sizes;
}

std::int64_t most_received(const FlatLayout& layout, int ranks) {
  std::int64_t most = 0;
  for (const auto& region : layout.regions)
    most = std::max(most, RegionSum::scratch_elements(region.range.count, ranks));
  return most;
}

StateBytes state_bytes(const Task& task, const OptimizerConfig& optimizer, Share rank,
                       bool saves_beside) {
  const auto layout = lay_out(task.parameters(), optimizer.no_decay, region_sizes(rank.count));
  const auto slots = static_cast<std::int64_t>(slot_kinds(optimizer).size());
  const auto buffers = elements_of(task.buffers());
  std::int64_t own = 0;
  for (const auto& region : layout.regions)
    own += part_of(region.range.count, rank).count;
  const auto saved = layout.elements * (1 + slots) + buffers;
  const auto regions = std::min(Collectives::kSumsAtOnce, layout.regions.size());
  const auto received =
      static_cast<std::int64_t>(regions) * most_received(layout, static_cast<int>(rank.count));
  // Parameters and gradients whole; gradients and optimizer state of the own part; what a save
  // beside training copies.
  const auto kept = 2 * layout.elements + received + buffers + own * (1 + slots) +
                    (saves_beside ? part_of(saved, rank).count : 0);
  return {static_cast<std::uint64_t>(kept) * sizeof(float),
          static_cast<std::uint64_t>(saved) * sizeof(float)};
}

TrainingState::TrainingState(Task& task, const OptimizerConfig& optimizer,
                             std::optional<std::uint64_t> seed, Share rank)
    : rank_(rank),
      parameter_specs_(task.parameters()),
      buffer_specs_(task.buffers()),
      layout_(lay_out(parameter_specs_, optimizer.no_decay, region_sizes(rank.count))),
      parameters_(layout_.elements),
      gradients_(layout_.elements),
      buffers_(elements_of(buffer_specs_)) {
  for (const auto& region : layout_.regions) {
    own_gradients_.emplace_back(part_of(region.range.count, rank_).count);
  }
  for (auto& kind : slot_kinds(optimizer)) {
    OptimizerSlot slot{.kind = std::move(kind), .parts = {}};
    for (const auto& region : layout_.regions) {
      slot.parts.emplace_back(part_of(region.range.count, rank_).count);
    }
    slots_.push_back(std::move(slot));
  }

  bind(task);
  make_view();
  if (seed) task.initialize(*seed);
}

void TrainingState::bind(Task& task) const {
  TensorMemory memory;
  for (std::size_t i = 0; i < parameter_specs_.size(); ++i) {
    memory.parameters.push_back(slice(parameters(), layout_.offset[i], parameter_specs_[i]));
    memory.gradients.push_back(slice(gradients(), layout_.offset[i], parameter_specs_[i]));
  }
  std::int64_t at = 0;
  for (const auto& spec : buffer_specs_) {
    memory.buffers.push_back(slice(buffers(), at, spec));
    at += elements_of(spec);
  }
  if (accelerator()) memory.device = accelerator()->device();
  within("the task's bind()", [&] { task.bind(memory); });
}

void TrainingState::move_to(const Accelerator& accelerator, Task& task) {
  for (auto* buffer : {&parameters_, &gradients_, &buffers_})
    buffer->move_to(accelerator);
  for (auto& buffer : own_gradients_)
    buffer.move_to(accelerator);
  for (auto& slot : slots_)
    for (auto& part : slot.parts)
      part.move_to(accelerator);
  view_ = {.sections = {}, .accelerator = &accelerator};
  make_view();
  bind(task);
}

void TrainingState::clear() {
  for (const auto& section : view_.sections) {
    const auto bytes = section.replicated
                           ? static_cast<std::size_t>(section.elements) * bytes_of(section.dtype)
                           : own_bytes(section, rank_).size();
    std::fill_n(section.data, bytes, std::byte{0});
  }
}

Range TrainingState::own_range(const Region& region) const {
  const Range part = part_of(region.range.count, rank_);
  return {.first = region.range.first + part.first, .count = part.count};
}

std::vector<std::span<float>> TrainingState::own_gradients() const {
  std::vector<std::span<float>> all;
  for (const auto& gradients : own_gradients_)
    all.push_back(gradients.all());
  return all;
}

// The tensors of a region, named model.NAME or, with a kind, optimizer.NAME.KIND.
StateSection TrainingState::section_of(const Region& region, const std::string& kind) const {
  StateSection section;
  for (const auto index : layout_.order) {
    const auto i = static_cast<std::size_t>(index);
    const auto& spec = parameter_specs_[i];
    const std::int64_t begin = layout_.offset[i];
    if (begin < region.range.first || begin + elements_of(spec) > region.range.end()) continue;
    const std::string name =
        kind.empty() ? "model." + spec.name : "optimizer." + spec.name + "." + kind;
    section.tensors.push_back({.name = name, .dtype = Dtype::kF32, .shape = spec.shape});
  }
  section.elements = region.range.count;
  return section;
}

void TrainingState::make_view() {
  const auto add = [this](StateSection section, std::span<float> data) {
    if (section.tensors.empty()) return;
    section.data = std::as_writable_bytes(data).data();
    view_.sections.push_back(std::move(section));
  };
  for (const auto& region : layout_.regions) {
    StateSection section = section_of(region, "");
    section.replicated = true;
    add(std::move(section), parameters_.part(region.range));
  }
  for (auto& slot : slots_) {
    for (std::size_t r = 0; r < layout_.regions.size(); ++r) {
      add(section_of(layout_.regions[r], slot.kind), slot.parts[r].all());
    }
  }
  StateSection section;
  section.elements = elements_of(buffer_specs_);
  section.replicated = true;
  section.changes_in_forward = true;
  for (const auto& spec : buffer_specs_) {
    section.tensors.push_back(
        {.name = "buffer." + spec.name, .dtype = Dtype::kF32, .shape = spec.shape});
  }
  add(std::move(section), buffers_.all());
}

}  // namespace lockstep
