#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/digest.h"
#include "worker/state.h"

namespace lockstep::testing {

// A section as a test writes it down; the dtype is that of its tensors.
struct SectionPlan {
  std::vector<TensorInfo> tensors;
  bool replicated = false;
};

// A trainer's memory: flat buffers in which the value of each element depends on the tensor's name,
// the element's place in the tensor and a seed alone, whatever the layout.
class TestState {
 public:
  TestState(const std::vector<SectionPlan>& plans, Share rank, int seed) : rank_(rank) {
    for (const auto& plan : plans)
      add(plan, seed);
  }

  // Valid while this lives and stays in place.
  StateView& view() {
    for (std::size_t i = 0; i < buffers_.size(); ++i)
      view_.sections[i].data = buffers_[i].data();
    return view_;
  }

  // Every byte that this rank holds.
  const std::vector<std::vector<std::byte>>& bytes() const { return buffers_; }
  std::vector<std::vector<std::byte>>& bytes() { return buffers_; }

 private:
  void add(const SectionPlan& plan, int seed) {
    StateSection section;
    section.tensors = plan.tensors;
    section.dtype = plan.tensors.front().dtype;
    section.replicated = plan.replicated;
    std::vector<std::byte> flat;
    for (const auto& tensor : plan.tensors) {
      section.elements += elements(tensor);
      for (std::int64_t i = 0; i < elements(tensor); ++i)
        append_value(flat, tensor, i, seed);
    }
    if (!plan.replicated) {
      const auto width = bytes_of(section.dtype);
      const auto part = part_of(section.elements, rank_);
      const auto begin = flat.begin() + part.first * static_cast<std::ptrdiff_t>(width);
      flat = {begin, begin + part.count * static_cast<std::ptrdiff_t>(width)};
    }
    view_.sections.push_back(std::move(section));
    buffers_.push_back(std::move(flat));
  }

  static void append_value(std::vector<std::byte>& flat, const TensorInfo& tensor, std::int64_t at,
                           int seed) {
    const std::string key = tensor.name + "/" + std::to_string(seed) + "/" + std::to_string(at);
    const auto hash = checksum64(std::as_bytes(std::span(key)));
    const auto number = static_cast<float>(hash % 1'000'003) - 500'000.0F;
    const bool is_float = tensor.dtype == Dtype::kF32;
    const auto* from = is_float ? static_cast<const void*>(&number) : &hash;
    const auto width = bytes_of(tensor.dtype);
    flat.resize(flat.size() + width);
    std::memcpy(flat.data() + flat.size() - width, from, width);
  }

  Share rank_;
  StateView view_;
  std::vector<std::vector<std::byte>> buffers_;
};

}  // namespace lockstep::testing
