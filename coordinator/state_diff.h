#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/manifest.h"

namespace lockstep {

// How two checkpoints' states differ: tensors, iteration and data position, whatever the number of
// shards. Configurations are compared beside that.

// A fact that both have, and differently. Texts for people.
struct Difference {
  std::string what;  // "iteration", "optimizer.learning_rate"
  std::string a;     // "absent" where one has none
  std::string b;

  friend bool operator==(const Difference&, const Difference&) = default;
};

// Tensors of one name that hold other bits.
struct TensorDifference {
  std::string name;
  std::int64_t elements = 0;      // in all
  std::int64_t different = 0;     // bit for bit
  std::optional<double> largest;  // the largest |a - b|; F32 and F64 only
  std::int64_t not_numbers = 0;   // elements that differ where one is NaN, or both Inf
};

struct StateDiff {
  std::vector<Difference> facts;   // iteration and data position
  std::vector<Difference> shapes;  // tensors that only one has, or of other dtype or shape
  std::vector<TensorDifference> contents;
  std::vector<Difference> config;  // by key
  std::int64_t compared = 0;       // tensors whose contents were compared

  bool same_state() const { return facts.empty() && shapes.empty() && contents.empty(); }
};

// Pure: all but the contents of tensors.
StateDiff compare_manifests(const Manifest& a, const Manifest& b);

// Pure: compares elements bit by bit and adds what differs. Both hold whole elements of `dtype`.
void compare_elements(Dtype dtype, std::span<const std::byte> a, std::span<const std::byte> b,
                      TensorDifference& into);

// A checkpoint whose files lie in `folder`.
struct Readable {
  std::string folder;
  const Manifest& manifest;
};

// Local: everything; contents piece by piece, each verified. `progress` is told the bytes read of
// both. Error(kDamaged), kIo. Cost: memory 2 blocks and the readers' open shards.
StateDiff diff_states(const FileSystem& files, const Readable& a, const Readable& b,
                      const std::function<void(std::uint64_t)>& progress = {});

}  // namespace lockstep
