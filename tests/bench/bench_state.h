#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/pages.h"
#include "worker/state.h"

namespace lockstep {

// Incompressible, and every float finite: 23 random bits of 32.
inline void fill_randomly(std::span<std::byte> bytes, std::uint64_t seed) {
  auto* const words = reinterpret_cast<std::uint32_t*>(bytes.data());
  for (std::size_t i = 0; i < bytes.size() / sizeof *words; ++i) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    words[i] = 0x3f00'0000U | static_cast<std::uint32_t>(seed >> 41U);
  }
}

// A trainer's memory: fp32 parameters, which every rank has whole, and Adam's two moments, of which
// each has its part.
class BenchState {
 public:
  // `gigabytes` (10^9 bytes) in all, `tensors` of the model.
  BenchState(std::int64_t tensors, double gigabytes, Share rank) {
    const auto elements = static_cast<std::int64_t>(gigabytes * 1e9 / 12);
    constexpr std::int64_t kColumns = 64;
    const auto rows = std::max<std::int64_t>(1, elements / tensors / kColumns);
    const auto total = rows * kColumns * tensors;
    for (const auto* kind : {"", ".exp_avg", ".exp_avg_sq"}) {
      const bool parameters = *kind == '\0';
      StateSection section;
      section.elements = total;
      section.replicated = parameters;
      for (std::int64_t i = 0; i < tensors; ++i)
        section.tensors.push_back(
            {(parameters ? "model.w" : "optimizer.w") + std::to_string(i) + kind,
             Dtype::kF32,
             {rows, kColumns}});
      const auto kept = parameters ? total : part_of(total, rank).count;
      memory_.emplace_back(static_cast<std::size_t>(kept) * sizeof(float));
      // What is replicated is equal on all ranks.
      fill_randomly(memory_.back().all(),
                    parameters ? 1 : 2 + static_cast<std::uint64_t>(rank.index));
      section.data = memory_.back().all().data();
      view_.sections.push_back(std::move(section));
    }
  }

  const StateView& view() const { return view_; }
  std::uint64_t kept_bytes() const {  // in this rank's memory
    std::uint64_t bytes = 0;
    for (const auto& memory : memory_)
      bytes += memory.all().size();
    return bytes;
  }

 private:
  std::vector<Pages> memory_;
  StateView view_;
};

}  // namespace lockstep
